# A root of the target's own CPU: to build natively on such a machine, to compile under QEMU, and to try packages in.
# Reef builds it with --platform of the target. By hand, with the folder dockerfiles/ as the context:
#
#   docker buildx build --platform linux/arm64 --file dockerfiles/target-root.Dockerfile --tag target-root dockerfiles

# Debian's own image, or one that mmdebstrap made: both end as the same root, see make-root.sh.
ARG BASE=debian:trixie-slim
FROM ${BASE} AS root

# The suite, and the mirror that everything comes from; without one, where the base image itself installs from.
ARG SUITE=trixie
ARG MIRROR=
# Lines of apt.conf: how the mirror is reached (a proxy, ...). Those with a password in them: --secret id=reef-apt,src=FILE
ARG APT_OPTIONS=
# What to install beside the essential packages and apt.
ARG PACKAGES=
# The CPU that QEMU is to be where this is emulated (cortex-a53, say): left to itself it is many times slower.
ARG QEMU_CPU
# Another word here makes the root anew, whatever the builder has of an equal one.
ARG FRESH=

RUN --mount=type=bind,source=make-root.sh,target=/reef/make-root.sh \
    --mount=type=secret,id=reef-apt,target=/reef/apt-secret.conf \
    --mount=type=cache,id=reef-root-apt,target=/var/cache/apt/archives,sharing=locked \
    sh -eu /reef/make-root.sh
