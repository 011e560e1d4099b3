# A root of the target's own CPU: for native builds, for builds under QEMU, and for tests of packages.
# Reef builds it with --platform of the target. By hand, with the folder dockerfiles/ as the context:
#
#   docker buildx build --platform linux/arm64 --file dockerfiles/target-root.Dockerfile --tag target-root dockerfiles

# Debian's own image, or an image made by mmdebstrap: both become the same root, see make-root.sh.
ARG BASE=debian:trixie-slim
FROM ${BASE} AS root

# The suite, and the mirror of all packages (by default the base image's own mirror).
ARG SUITE=trixie
ARG MIRROR=
# The packages to install beside the essential packages and apt.
ARG PACKAGES=
# The CPU that QEMU emulates (such as cortex-a53), if it does: its default is many times slower.
ARG QEMU_CPU
# Another word here makes the root again, even if the builder has cached an equal root.
ARG FRESH=

# The secret has files with which apt reaches the mirror: a proxy, a login. By hand: --build-arg http_proxy=URL
RUN --mount=type=bind,source=make-root.sh,target=/reef/make-root.sh \
    --mount=type=bind,source=apt-access.sh,target=/reef/apt-access.sh \
    --mount=type=secret,id=reef-apt,target=/reef/apt-files \
    --mount=type=tmpfs,target=/reef/apt \
    --mount=type=cache,id=reef-root-apt,target=/var/cache/apt/archives,sharing=locked \
    sh -eu /reef/make-root.sh
