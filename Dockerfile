# Two images from one file: `export` trains and publishes, `service` (the default) answers. No torch in the service.

FROM python:3.11-slim-bookworm AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /heed
RUN groupadd --gid 10001 heed && useradd --uid 10001 --gid heed --no-create-home --home-dir /tmp heed \
 && install --directory --owner=heed --group=heed /model_repository


FROM base AS export
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY requirements/torch.txt requirements/export.txt requirements/install-torch.sh requirements/
RUN PIP="python -m pip" sh requirements/install-torch.sh
RUN pip install --require-hashes -r requirements/export.txt
COPY models/ models/
COPY export/ export/
# The file system is read-only but for /tmp and the volume, and some libraries look for a home to write to.
ENV OMP_WAIT_POLICY=PASSIVE HOME=/tmp
USER heed
VOLUME /model_repository
ENTRYPOINT ["python", "-m", "export"]
CMD ["--help"]


FROM base AS dependencies
# What the service needs, and what draws pictures; with service.txt in its place the image is 80 MB smaller, and SVG and
# PNG are 406.
COPY requirements/pictures.txt requirements/
RUN python -m venv --without-pip /opt/heed \
 && python -m pip --python /opt/heed/bin/python install --require-hashes -r requirements/pictures.txt \
 # Left out: the tests of libraries, onnxruntime's tools for making models, and its library for C programs, which the
 # Python module does not load: it carries its own copy.
 && cd /opt/heed/lib/python3.11/site-packages \
 && find . -depth \( -name tests -o -name test \) -type d -exec rm -rf {} + \
 && rm -rf onnxruntime/quantization onnxruntime/transformers onnxruntime/tools onnxruntime/datasets \
           onnxruntime/capi/libonnxruntime.so.* numpy/f2py numpy/distutils


FROM base AS libraries
# What browsers load; the same whichever packages the service has.
COPY requirements/browser_libraries.py requirements/browser_libraries.txt requirements/vega.licence.txt requirements/
COPY models/rendering.py models/
RUN python -m requirements.browser_libraries


FROM base AS service
COPY --from=dependencies /opt/heed /opt/heed
COPY models/__init__.py models/contract.py models/layout.py models/answer.py models/answer_text.py models/entropy.py \
     models/onnx_runtime.py models/pictures.py models/panels.py models/maps.py models/captions.py models/grids.py \
     models/look.py models/rendering.py models/
COPY service/ service/
# Its user may not write here: each process would compile all of it each time that it starts.
RUN python -m compileall -q models service
COPY --from=libraries /heed/service/web/libraries/ service/web/libraries/
ENV PATH=/opt/heed/bin:$PATH HEED_HOST=0.0.0.0 HEED_PORT=8000 HEED_MODEL_REPOSITORY=/model_repository
USER heed
EXPOSE 8000
VOLUME /model_repository
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s --retries=3 \
    CMD ["python", "-m", "service.healthcheck"]
CMD ["python", "-m", "service"]
