"""The variables that docker compose alone reads: what the documentation says of them."""

from pydantic import Field

from segstudio.settings import PlaceSettings


class ComposeSettings(PlaceSettings):
    """What docker-compose*.yml put in place of ``${...}`` and no program reads."""

    compose_file: str = Field(
        "docker-compose.yml",
        description="Compose files to use, separated by colons; see docs/install/docker-compose.md",
    )
    bind_address: str = Field(
        "127.0.0.1", description="Address on which ports are published; 0.0.0.0: all addresses"
    )
    segstudio_version: str = Field("latest", description="Tag of the two images that are built")
    torch_index_url: str | None = Field(
        None,
        description="Index of CPU wheels of torch for the build, such as "
        "https://download.pytorch.org/whl/cpu; unset: PyPI, with CUDA",
    )
    bake_weights: str | None = Field(
        None, description="Big models to build into the images, separated by spaces"
    )
    label_studio_username: str = Field(
        "labeler@localhost", description="E-mail address of the first user"
    )
    label_studio_host: str | None = Field(
        None,
        description="Address of Label Studio for browsers, if not localhost: https://…; backends "
        "recognize it in tasks",
    )
    label_studio_memory: str = Field("4g", description="Memory limit of Label Studio")
    segmentation_memory: str = Field("6g", description="Memory limit of the segmentation backend")
    learner_memory: str = Field("6g", description="Memory limit of the learner")
    sam_memory: str = Field("6g", description="Memory limit of a sam backend")
    segmentation_cpus: float = Field(
        0, description="CPU quota of the segmentation backend; 0: none. THREADS adapts to it"
    )
    learner_cpus: float = Field(0, description="CPU quota of the learner; 0: none")
    sam_cpus: float = Field(0, description="CPU quota of a sam backend; 0: none")
    segmentation_gpu: str = Field(
        "0", description="docker-compose.gpu.yml: GPU of the segmentation backend"
    )
    sam_gpu: str = Field("0", description="docker-compose.gpu.yml: GPU of the sam backend")
    http_port: int = Field(80, description="docker-compose.team.yml: port that redirects to HTTPS")
    https_port: int = Field(443, description="docker-compose.team.yml: port of Label Studio")
    tls_dir: str | None = Field(
        None,
        description="docker-compose.team.yml: folder with fullchain.pem and privkey.pem; unset: "
        "a certificate from Let's Encrypt for a public name, else one from Caddy's own authority",
    )
    sam_replicas: int = Field(
        3,
        description="docker-compose.scale.yml: number of sam backends; "
        "with docker-compose.gpu.yml all use SAM_GPU, each with a model in its memory",
    )
    redis_memory: str = Field(
        "1gb", description="docker-compose.scale.yml: memory for shared embeddings"
    )
