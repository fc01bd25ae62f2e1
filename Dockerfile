# Both images: docker build --target segmentation . and docker build --target sam . They share all layers but the last few.

# The locked lines of torch and of CUDA's libraries.
FROM python:3.11-slim-bookworm AS locks
COPY requirements/runtime.txt /
RUN awk '/^ *#/ { next } /^[^ ]/ { big = /^(torch|torchvision|triton|(nvidia|cuda)-[^=]+)==/ } big' /runtime.txt >/torch.txt

# A separate layer, which changes to other requirements do not rebuild: with CUDA it is most of the image.
FROM python:3.11-slim-bookworm AS torch
COPY --from=locks /torch.txt /
# Empty: torch from PyPI, with CUDA, pinned by hash. Otherwise torch from that index, pinned by version: each index has
# wheels with other hashes. It must hold CPU wheels: their dependencies are not installed here. All else is pinned by hash.
ARG TORCH_INDEX_URL=""
RUN --mount=type=cache,target=/root/.cache/pip <<SH
set -eu
install="python -m pip install --progress-bar=off --no-deps --only-binary=:all: --target=/opt/torch"
if [ -z "$TORCH_INDEX_URL" ]; then
  $install --require-hashes -r /torch.txt
else
  $install --index-url "$TORCH_INDEX_URL" $(sed -nE 's/^(torch(vision)?==[^ ]+).*/\1/p' /torch.txt)
fi
SH

FROM python:3.11-slim-bookworm AS build
COPY requirements/serving.txt /
RUN --mount=type=cache,target=/root/.cache/pip <<SH
set -eu
python -m venv --without-pip /opt/venv
python -m pip --python /opt/venv/bin/python install --progress-bar=off --no-deps --only-binary=:all: --require-hashes -r /serving.txt
echo /opt/torch >/opt/venv/lib/python3.11/site-packages/torch.pth
SH

FROM python:3.11-slim-bookworm AS runtime
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp HOST=0.0.0.0 MODELS_DIR=/opt/models IMAGE_CACHE_DIR=/cache
RUN useradd --uid 10001 --gid 0 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin segstudio && \
    install -d -o 10001 -g 0 -m 750 /models /opt/models /cache /secrets /caddy
COPY --from=torch /opt/torch /opt/torch
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY LICENSE ./
COPY frontend_templates frontend_templates
COPY ml_backend ml_backend
COPY segstudio segstudio
COPY synthetic synthetic
# The names of the garments, for the command line in either image.
COPY segmentation_backend/__init__.py segmentation_backend/classes.py segmentation_backend/
USER 10001:0

# Models to bake in, by their names in `segstudio models list`. They go to /opt/models, where the volume at /models does
# not hide them: `segstudio stack models` links them from there.
FROM runtime AS weights
ARG BAKE_WEIGHTS=""
RUN set -e; for name in $BAKE_WEIGHTS; do python -m segstudio models pull "$name"; done

FROM runtime AS backend
COPY --from=weights --chown=10001:0 /opt/models /opt/models
# On a busy machine, starting Python alone may take seconds, and loading a model minutes.
HEALTHCHECK --interval=10s --timeout=20s --start-period=600s CMD ["python", "-m", "ml_backend.serving.healthcheck"]
ARG VERSION=""
LABEL org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.base.name=docker.io/library/python:3.11-slim-bookworm

FROM backend AS segmentation
COPY segmentation_backend segmentation_backend
LABEL org.opencontainers.image.title=segstudio-segmentation \
      org.opencontainers.image.description="Segmentation backend: masks fashion photographs for Label Studio"
ENV PORT=7070
EXPOSE 7070
CMD ["python", "-m", "segmentation_backend"]

FROM backend AS sam
COPY sam_backend sam_backend
LABEL org.opencontainers.image.title=segstudio-sam \
      org.opencontainers.image.description="Sam backend: turns boxes and clicks into masks for Label Studio"
ENV PORT=9090
EXPOSE 9090
CMD ["python", "-m", "sam_backend"]
