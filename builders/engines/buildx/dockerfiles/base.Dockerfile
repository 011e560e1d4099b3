# A base image made without a registry, from the tar archive of a minimal Debian root:
#
#   mmdebstrap --variant=minbase --architectures=arm64 trixie base/base.tar
#   docker buildx build --platform linux/arm64 --file dockerfiles/base.Dockerfile --tag my-base base
#
# ADD, not `docker import`: older engines mark imported images with their own CPU.
FROM scratch AS base
ADD base.tar /
CMD ["/bin/bash"]
