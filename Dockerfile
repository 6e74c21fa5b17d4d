# Two stages: the first has a compiler (faust-streaming has no Linux arm64 wheel), the second has none.
FROM python:3.13.9-trixie AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /src
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas ./schemas
COPY strategies ./strategies
COPY streams ./streams
RUN pip install --no-deps --no-build-isolation .

FROM python:3.13.9-slim-trixie

RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/interlayer interlayer \
    && install -d -o interlayer -g interlayer /var/cache/interlayer
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    INTERLAYER_CACHE=/var/cache/interlayer
USER interlayer
WORKDIR /var/lib/interlayer
EXPOSE 6066
# Kernels are compiled before the worker joins its group: a minute and more where the cache is empty.
HEALTHCHECK --interval=10s --timeout=5s --start-period=180s --retries=6 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('INTERLAYER_WEB_PORT', '6066') + '/live', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["interlayer"]
CMD ["worker"]
