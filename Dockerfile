# Debian is named so that a rebuild keeps the system libraries; Python is the one of the tests.
FROM python:3.11-slim-bookworm

# What the wheel of opencv-python links to and does not bring along.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 libxcb1 \
    && rm -rf /var/lib/apt/lists/*

# An index to find torch on besides the default one, for example PyTorch's index of CPU builds: it
# makes the image some gigabytes smaller. constraints.txt holds the version either way.
ARG TORCH_INDEX=""

WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY monitor ./monitor
COPY dashboards ./dashboards
COPY models ./models
COPY streams ./streams
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -c constraints.txt ".[s3]"

# A new named volume takes over the owner of the folder that it is mounted on.
RUN useradd --system --uid 10001 --home-dir /var/lib/linewatch --create-home linewatch \
    && mkdir -p /var/lib/linewatch/evidence /models /etc/linewatch \
    && chown -R linewatch:linewatch /var/lib/linewatch
# glibc gives many threads a heap each, and each outage brings new threads: with two heaps the service grows less
# over months of faults.
ENV MALLOC_ARENA_MAX=2

USER linewatch
WORKDIR /var/lib/linewatch

EXPOSE 8090
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8090/healthz', timeout=4)"]

ENTRYPOINT ["linewatch"]
CMD ["run", "/etc/linewatch/linewatch.yaml"]
