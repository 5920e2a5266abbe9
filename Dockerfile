# The service alone: its pinned dependencies, no compiler, no test tools.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# Dependencies first: they change less often than the code. The lock names all of
# them, so nothing is resolved.
COPY requirements requirements
RUN python -m venv --without-pip /opt/nublado \
 && pip --python /opt/nublado/bin/python install \
        --no-deps --require-hashes --only-binary :all: -r requirements/run.txt

# The build backend is pinned with the development tools.
RUN sed -n '/^setuptools==/,/# via/p' requirements/dev.txt > requirements/build.txt \
 && pip install --no-deps --require-hashes -r requirements/build.txt
COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY nublado nublado
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/nublado/bin/python install --no-deps dist/nublado-*.whl \
 && pip --python /opt/nublado/bin/python check

FROM python:3.11-slim
RUN groupadd --gid 1000 nublado \
 && useradd --uid 1000 --gid 1000 --no-create-home --shell /usr/sbin/nologin nublado
COPY --from=build /opt/nublado /opt/nublado
ENV PATH=/opt/nublado/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 1000:1000
EXPOSE 8080
CMD ["gunicorn", "-c", "python:nublado.gunicorn_conf"]
