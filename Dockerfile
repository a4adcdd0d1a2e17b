# One target for each environment: `service` (web, worker, every command) and `nlu` (the NLU server with a model).
#   docker build --target service -t heatline .
#   docker build --target nlu -t heatline-nlu .
# tests/test_packaging.py runs the steps of both targets in a clean folder.

FROM python:3.11-slim-bookworm AS base
ARG UV_VERSION=0.13.9
RUN pip install --no-cache-dir uv==${UV_VERSION}
RUN useradd --create-home --uid 10001 heatline && install -d -o heatline /app /app/var /app/models
USER heatline
WORKDIR /app
ENV UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    PYTHONUNBUFFERED=1 \
    PATH=/app/.venv/bin:$PATH

# Dependencies first: they change less often than the code and are then not installed anew.
FROM base AS service
COPY --chown=heatline pyproject.toml uv.lock README.md ./
RUN uv sync --locked --no-dev --no-install-project --python 3.11
COPY --chown=heatline bot bot
COPY --chown=heatline handlers handlers
COPY --chown=heatline nlu nlu
COPY --chown=heatline data data
RUN uv sync --locked --no-dev --python 3.11
ENV HEATLINE_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["heatline", "web"]

# The supervisor of the NLU processes is part of the service; Rasa lives in an environment of its own beside it.
FROM service AS nlu
RUN uv sync --locked --no-dev --project nlu/server --python 3.11
# The command makes secrets for a machine that has none; they must not become the same for everyone who has the image.
RUN heatline nlu train && rm -rf var/secrets.env
ENV HEATLINE_NLU_URL=http://0.0.0.0:5005
EXPOSE 5005
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 5005), 2).close()"]
CMD ["heatline", "nlu", "serve"]
