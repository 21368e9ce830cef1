# docker build --build-arg VARIANT=cpu|gpu -t mammoseg .
FROM python:3.13-slim-trixie AS build
ARG VARIANT=cpu
RUN python -m venv /opt/mammoseg
ENV PATH=/opt/mammoseg/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY requirements/${VARIANT}.txt requirements.txt
RUN pip install --require-hashes --no-deps --requirement requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY model_export model_export
COPY mammoseg mammoseg
COPY requirements/one_import_name.py requirements/one_import_name.py
RUN pip install --no-deps .
# Not here, where the checkout would be imported.
WORKDIR /
RUN MAMMOSEG_DEVICE=cpu mammoseg doctor

# Its parts: docker build --target sbom --output build .
FROM build AS parts
WORKDIR /source
COPY requirements/sbom.txt sbom.txt
RUN python -m venv /opt/sbom \
  && /opt/sbom/bin/pip install --require-hashes --no-deps --requirement sbom.txt
COPY deploy/sbom.py deploy/sbom.py
RUN /opt/sbom/bin/python deploy/sbom.py sbom.cdx.json --python /opt/mammoseg/bin/python
FROM scratch AS sbom
COPY --from=parts /source/sbom.cdx.json /

FROM python:3.13-slim-trixie
ENV PATH=/opt/mammoseg/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    MAMMOSEG_HOST=0.0.0.0 MAMMOSEG_PORT=8000 ORT_DISABLE_TELEMETRY=1
# Every address, so it asks for keys: MAMMOSEG_KEYS_FILE=/etc/mammoseg/keys.json; see docs/access.md.
# The inbox's folder is used once MAMMOSEG_DESTINATIONS is set; see docs/inbox.md.
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin mammoseg \
  && install --directory --owner=10001 --mode=0700 /var/lib/mammoseg /etc/mammoseg
VOLUME /var/lib/mammoseg /etc/mammoseg
COPY --from=build /opt/mammoseg /opt/mammoseg
COPY --from=parts /source/sbom.cdx.json /usr/share/doc/mammoseg/sbom.cdx.json
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-m", "mammoseg.service.probe"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["mammoseg"]
CMD ["serve"]
