# A cross build root: it runs on the build machine's CPU and holds the libraries of another one (Debian's multiarch).
# Reef builds it with --platform of the machine. By hand, with the folder dockerfiles/ as the context:
#
#   docker buildx build --file dockerfiles/cross-root.Dockerfile --tag cross-root \
#       --build-arg HOST=arm64 --build-arg PACKAGES='build-essential crossbuild-essential-arm64' dockerfiles

# Debian's own image, or one that mmdebstrap made: both end as the same root, see make-root.sh.
ARG BASE=debian:trixie-slim
FROM ${BASE} AS root

# The suite, and the mirror that everything comes from; without one, where the base image itself installs from.
ARG SUITE=trixie
ARG MIRROR=
# Lines of apt.conf: how the mirror is reached (a proxy, ...). Those with a password in them: --secret id=reef-apt,src=FILE
ARG APT_OPTIONS=
# The CPU that results are for, by Debian's name, and what to install: NAME for this CPU, NAME:arm64 for the other.
ARG HOST
ARG PACKAGES=
# Another word here makes the root anew, whatever the builder has of an equal one.
ARG FRESH=

RUN --mount=type=bind,source=make-root.sh,target=/reef/make-root.sh \
    --mount=type=secret,id=reef-apt,target=/reef/apt-secret.conf \
    --mount=type=cache,id=reef-root-apt,target=/var/cache/apt/archives,sharing=locked \
    sh -eu /reef/make-root.sh
