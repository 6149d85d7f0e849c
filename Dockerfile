# Reelkeeper as an image: one binary, nothing else of ours.
#
#   docker build -t reelkeeper .
#   docker run -p 6080:6080 -v /srv/reelkeeper:/data -e MEET_INITIAL_API_KEY=... -e LIVEKIT_URL=... \
#     -e LIVEKIT_API_KEY=... -e LIVEKIT_API_SECRET=... reelkeeper
#
# LiveKit's egress must write to the same files: /srv/reelkeeper/blobs here. The folder must belong to the
# image's user.
#
# No engine has built this file yet: its commands were run in a plain folder, in this order.

# The image's Rust is the one of rust-toolchain.toml, which is not copied: it asks for tools of developers.
FROM rust:1.95.0-slim-bookworm AS builder
WORKDIR /build

# Dependencies first, with nothing of ours in them: this layer is built again only when a manifest changes.
# Tests and benches that the manifest names are not there to be found, so their entries go.
COPY Cargo.toml Cargo.lock ./
COPY actors/Cargo.toml actors/
RUN sed -i '/^\[\[\(test\|bench\)\]\]$/,/^$/d' Cargo.toml \
    && mkdir -p src actors/src \
    && touch src/lib.rs actors/src/lib.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cargo build --release --locked

# The sources may be older than what was built in their place; cargo goes by time.
COPY actors/src actors/src
COPY config config
COPY src src
RUN touch src/lib.rs src/main.rs actors/src/lib.rs \
    && cargo build --release --locked

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Reelkeeper" \
      org.opencontainers.image.description="Records LiveKit rooms and never loses a recording." \
      org.opencontainers.image.licenses="Apache-2.0"

# Certificates of the usual authorities, for a LiveKit behind https; the builder has them.
COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=builder /build/target/release/reelkeeper /usr/local/bin/reelkeeper

# Not root; a fixed number, so that a mounted folder can be given to it. The defaults are relative
# (`data/reelkeeper.db`, `data/blobs`), so with `/` as working directory they lie in the volume. Setting them
# here instead would override the backends that OpenVidu Meet's variables choose.
RUN groupadd --system --gid 10001 reelkeeper \
    && useradd --system --uid 10001 --gid reelkeeper --no-create-home --home-dir /data reelkeeper \
    && mkdir /data \
    && chown reelkeeper:reelkeeper /data
USER 10001:10001
WORKDIR /
VOLUME /data
EXPOSE 6080

# SIGTERM drains: what is under way is answered, recordings run on. Give it 30 s (`docker stop -t 35`).
STOPSIGNAL SIGTERM

# Alive, not ready: a store that is away for a while must not get every node killed. Without curl: bash itself
# opens the connection.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD bash -c '\
    address=${REELKEEPER_LISTEN:-${SERVER_PORT:-6080}}; \
    exec 3<>/dev/tcp/127.0.0.1/${address##*:} \
    && printf "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" >&3 \
    && read -r _ status _ <&3 \
    && [ "$status" = 200 ]'

ENTRYPOINT ["reelkeeper"]
CMD ["serve"]
