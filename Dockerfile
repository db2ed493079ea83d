# syntax=docker/dockerfile:1
# An image with the static binary, the certificates of authorities and time zones. It has no shell; the program runs as a user without
# privileges, in /work.
#
#   docker build --tag tp-runner .                                        builds the binary from the sources
#   docker buildx build --build-context binary=FOLDER --tag tp-runner .   takes FOLDER/amd64/tp-runner or FOLDER/arm64/tp-runner
#
# Releases use the second, so that image and archives have the same binary. With `--platform linux/amd64,linux/arm64` the compiler
# runs on the architecture of the machine, and compiles for the other one.

FROM --platform=$BUILDPLATFORM rust:1.95-bookworm AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# Zig compiles the C parts (SQLite, ring, mimalloc) and links with musl, for both architectures.
ENV PATH=/opt/zig/bin:$PATH
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/zig \
    && pip install --no-cache-dir cargo-zigbuild==0.24.1 ziglang==0.17.1 \
    && rustup target add x86_64-unknown-linux-musl aarch64-unknown-linux-musl
WORKDIR /source
COPY . .
ARG TARGETARCH
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,sharing=locked \
    case "$TARGETARCH" in \
        amd64) target=x86_64-unknown-linux-musl ;; \
        arm64) target=aarch64-unknown-linux-musl ;; \
        *) echo "expected amd64 or arm64, found $TARGETARCH" >&2; exit 1 ;; \
    esac \
    && cargo zigbuild --locked --profile dist --features otlp --target "$target" \
    && install -D "target/$target/dist/tp-runner" "/out/$TARGETARCH/tp-runner"

FROM scratch AS binary
COPY --from=build /out /

# An empty folder, for its owner.
FROM scratch AS folder
WORKDIR /work

FROM gcr.io/distroless/static-debian12:nonroot
ARG TARGETARCH
LABEL org.opencontainers.image.title="tp-runner" \
    org.opencontainers.image.description="Executes written test plans across HTTP, Kubernetes, SQL and webhooks" \
    org.opencontainers.image.source="https://github.com/tp-runner/tp-runner" \
    org.opencontainers.image.licenses="MIT"
COPY --from=folder --chown=65532:65532 /work /work
COPY --from=binary --chmod=755 /$TARGETARCH/tp-runner /usr/local/bin/tp-runner
COPY LICENSE /usr/share/doc/tp-runner/
USER 65532:65532
WORKDIR /work
ENTRYPOINT ["/usr/local/bin/tp-runner"]
