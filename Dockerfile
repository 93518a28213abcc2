# sgmn on CPU. Build: docker build -t sgmn .   Run: docker run --rm -v "$PWD:/data" sgmn watch …
FROM python:3.11-slim
ENV OMP_WAIT_POLICY=PASSIVE HF_HUB_OFFLINE=1 PIP_NO_CACHE_DIR=1
WORKDIR /opt/sgmn
COPY constraints.txt pyproject.toml README.md LICENSE ./
# The default index serves a CUDA build of several GB on x86-64. For the small CPU build pass
# --build-arg TORCH_INDEX=URL with the address that pytorch.org names for CPU wheels.
ARG TORCH_INDEX=""
RUN pip install -c constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
COPY src ./src
RUN pip install -c constraints.txt ".[train,synth,serve,postgres]"
RUN useradd --create-home sgmn && mkdir /data && chown sgmn /data
USER sgmn
WORKDIR /data
ENTRYPOINT ["sgmn"]
CMD ["--help"]
