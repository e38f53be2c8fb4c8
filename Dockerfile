# Spanwatch: the sidecar and, in the same image, the demo bot.
#
#   docker build -t spanwatch:0.1.0 .
#
# What was run of this file, and how: docs/docker.md. scripts/check-dockerfile builds it without a Docker engine.
FROM debian:12-slim AS build
WORKDIR /src
COPY scripts/deps scripts/deps
RUN scripts/deps && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset release -DSPANWATCH_BUILD_TESTS=OFF \
 && cmake --build --preset release --target spanwatch spanwatch-demo \
 && install -D -s -t /out build/release/bin/spanwatch build/release/bin/spanwatch-demo

FROM debian:12-slim
# The shared libraries of the two programs, certificates for Discord.
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
      ca-certificates libcpp-httplib0.11 libfmt9 libprometheus-cpp-core1.0 libre2-9 libspdlog1.10 libsqlite3-0 libssl3 \
      libxxhash0 libyaml-cpp0.7 libzmq5 zlib1g \
 && rm -rf /var/lib/apt/lists/*
# The directories of the two volumes belong to the user: a new volume takes over owner and mode.
RUN groupadd --system --gid 991 spanwatch \
 && useradd --system --uid 991 --gid 991 --no-create-home --home-dir /var/lib/spanwatch --shell /usr/sbin/nologin spanwatch \
 && install -d -o spanwatch -g spanwatch -m 0750 /run/spanwatch /var/lib/spanwatch
COPY --from=build /out/ /usr/bin/
COPY config/docker/spanwatch.yaml /etc/spanwatch/spanwatch.yaml
COPY config/prices.yaml /etc/spanwatch/prices.yaml
COPY rules/ /etc/spanwatch/rules/
# A library that is missing or a mistake in the configuration ends the build here.
RUN ! ldd /usr/bin/spanwatch /usr/bin/spanwatch-demo | grep "not found" \
 && spanwatch version && spanwatch check /etc/spanwatch/spanwatch.yaml
USER spanwatch
EXPOSE 9464 4318
VOLUME ["/run/spanwatch", "/var/lib/spanwatch"]
STOPSIGNAL SIGTERM
# Ready once every listener is bound. bash asks, so that no further program need be in the image.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9464 && printf 'GET /readyz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && test \"$status\" = 200"]
CMD ["spanwatch", "serve", "--config", "/etc/spanwatch/spanwatch.yaml"]
