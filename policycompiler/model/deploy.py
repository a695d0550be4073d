"""`deploy`: what containers and hosts need, and no policy can guess."""

from typing import Annotated, Literal

from pydantic import Field

from policycompiler.model.part import Part, shown_as
from policycompiler.model.units import Folder, Image, Label, UserName

Included = Literal["broker", "exporter", "flower", "monitors", "network-policy", "redis-exporter", "rules"]


class Deploy(Part):
    """Where and how the processes run; a policy file gives the defaults of a platform."""

    model_config = shown_as({"image": "registry.example/shop:1.4.2", "secrets": "shop-celery"})

    image: Image | None = Field(None, description="container image with the application and Celery")
    image_user: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        None, description="number of the user in containers"
    )
    namespace: Label | None = Field(None, description="namespace of Kubernetes")
    secrets: Label | None = Field(
        None,
        description="name of the Secret of Kubernetes, and of the environment file of Compose, with the URLs",
    )
    autoscaler: Literal["keda", "hpa"] | None = Field(
        None, description="what scales the workers with `replicas: {min, max}` on Kubernetes"
    )
    include: list[Included] | None = Field(
        None,
        description="optional parts of containers: broker (Compose), exporter, redis-exporter, flower; "
        "monitors, rules and network-policy (Kubernetes)",
        examples=[["exporter", "flower"]],
    )
    user: UserName | None = Field(None, description="user of the processes on hosts")
    directory: Folder | None = Field(None, description="folder of the application on hosts")
    executable: Folder | None = Field(None, description="path of `celery` on hosts")
    environment_file: Folder | None = Field(None, description="file with the environment on hosts")
