"""Networks of timm, with random weights or with those that timm publishes, and how weights are fetched."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLError
from typing import Any, cast
from urllib.error import HTTPError, URLError

import huggingface_hub
import timm
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from timm.models import PretrainedCfg
from torch import nn

from cxrbench.errors import CxrbenchError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of each colour channel in 0..1, over the training images of ImageNet: the figures of torchvision."""

ANSWER_SECONDS = 10.0
"""How long the host of the weights may take to answer."""

# huggingface_hub has changed its HTTP library twice. Whichever it is, what that library raises itself
# derives from the first base of this class.
_HTTP_LIBRARY_ERROR = cast(type[Exception], HfHubHTTPError.__bases__[0])


def published(name: str) -> PretrainedCfg:
    """What timm publishes about the weights of that network: place, normalisation, image size, head."""
    return timm.get_pretrained_cfg(name) or PretrainedCfg()


def create(name: str, pretrained: bool, **options: Any) -> nn.Module:
    """The network of timm of that name; ``pretrained`` with the weights that timm publishes for it.

    ``options`` go to ``timm.create_model``. Random weights come from torch's global generator.

    Raises:
        CxrbenchError: the weights do not exist or could not be downloaded.
    """
    if not pretrained:
        return timm.create_model(name, pretrained=False, **options)
    config = published(name)
    if not config.has_weights:
        raise CxrbenchError(
            f"There are no published weights of {name}; use --weights FILE for a local file or "
            "--weights none for random ones."
        )
    with downloading(name):
        if config.hf_hub_id and not _is_cached(config.hf_hub_id, config.hf_hub_filename):
            if constants.HF_HUB_OFFLINE:
                raise OSError("HF_HUB_OFFLINE is set")
            # Once, because huggingface_hub asks for three quarters of a minute before it gives up.
            require_answer(constants.ENDPOINT)
        return timm.create_model(name, pretrained=True, **options)


@contextmanager
def downloading(name: str) -> Iterator[None]:
    """Say in one sentence that the weights of a network could not be downloaded within the block.

    Raises:
        CxrbenchError: they could not.
    """
    try:
        yield
    except (OSError, _HTTP_LIBRARY_ERROR) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise CxrbenchError(
            f"The ImageNet weights of {name} could not be downloaded ({' '.join(str(reason).split())}); "
            "use --weights FILE for a local file or --weights none for random ones."
        ) from error


def _is_cached(repository: str, filename: str | None) -> bool:
    repository, _, revision = repository.partition("@")
    names = [filename] if filename else ["model.safetensors", "pytorch_model.bin"]
    return any(
        isinstance(huggingface_hub.try_to_load_from_cache(repository, name, revision=revision or None), str)
        for name in names
    )


def require_answer(url: str) -> None:
    """Ask a host whether it is there, for :data:`ANSWER_SECONDS` at most.

    Raises:
        OSError: nobody answers.
    """
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=ANSWER_SECONDS).close()
    except HTTPError:
        pass  # an answer, if not a page
    except URLError as error:
        # Python may lack the certificates that huggingface_hub brings along: the host is there all the same.
        if not isinstance(error.reason, SSLError):
            raise
