# A cross build root: it runs on the build machine's CPU and has libraries for another CPU (Debian's multiarch).
# Reef builds it with --platform of the machine. By hand, with the folder dockerfiles/ as the context:
#
#   docker buildx build --file dockerfiles/cross-root.Dockerfile --tag cross-root \
#       --build-arg HOST=arm64 --build-arg PACKAGES='build-essential crossbuild-essential-arm64' dockerfiles

# Debian's own image, or an image made by mmdebstrap: both become the same root, see make-root.sh.
ARG BASE=debian:trixie-slim
FROM ${BASE} AS root

# The suite, and the mirror of all packages (by default the base image's own mirror).
ARG SUITE=trixie
ARG MIRROR=
# The target's CPU by Debian's name, and the packages to install: NAME for this CPU, NAME:arm64 for the target's.
ARG HOST
ARG PACKAGES=
# Another word here makes the root again, even if the builder has cached an equal root.
ARG FRESH=

# The secret has files with which apt reaches the mirror: a proxy, a login. By hand: --build-arg http_proxy=URL
RUN --mount=type=bind,source=make-root.sh,target=/reef/make-root.sh \
    --mount=type=bind,source=apt-access.sh,target=/reef/apt-access.sh \
    --mount=type=secret,id=reef-apt,target=/reef/apt-files \
    --mount=type=tmpfs,target=/reef/apt \
    --mount=type=cache,id=reef-root-apt,target=/var/cache/apt/archives,sharing=locked \
    sh -eu /reef/make-root.sh
