"""The networks that are trained, their optimisers, learning rates and averaged weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from burnish.method.discriminator import Discriminator
from burnish.method.generator import Encoder, Generator, InputShape
from burnish.settings import Settings


def make_networks(settings: Settings, shape: InputShape) -> dict[str, nn.Module]:
    """ "generator" and, where their losses have a weight, "encoder" and "discriminator".

    Their first weights depend on the seed alone; torch's own generator stays as it was.
    """
    s = settings
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(s.seed)
        networks: dict[str, nn.Module] = {"generator": Generator(s, shape)}
        if s.weight_latent:
            networks["encoder"] = Encoder(s, shape, shape.channels)
        if s.weight_adversarial:
            networks["discriminator"] = Discriminator(s, shape)
    return networks


def make_optimizers(
    settings: Settings, networks: Mapping[str, nn.Module], device: torch.device, replayed: bool
) -> dict[str, Optimizer]:
    """ "adam_g" of generator and encoder, "adam_d" of the discriminator if there is one.

    Args:
        replayed: whether steps are replayed as a CUDA graph.
    """
    learners = [
        parameter
        for name in ("generator", "encoder")
        if name in networks
        for parameter in networks[name].parameters()
    ]
    found = {"adam_g": _adam(settings, learners, settings.learning_rate, device, replayed)}
    if "discriminator" in networks:
        own = networks["discriminator"].parameters()
        found["adam_d"] = _adam(settings, own, settings.disc_learning_rate, device, replayed)
    return found


def _adam(
    settings: Settings,
    parameters: Iterable[nn.Parameter],
    rate: float,
    device: torch.device,
    replayed: bool,
) -> Optimizer:
    return AdamW(
        list(parameters),
        # A graph records a float as it is at the time; a tensor can change between replays.
        lr=torch.tensor(rate, device=device) if replayed else rate,
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
        fused=True,
        capturable=replayed,
    )


def set_learning_rates(
    optimizers: Mapping[str, Optimizer], settings: Settings, step: int, share_done: float
) -> None:
    """Set the rates of the step to come: warm-up by steps, the schedule by the share done.

    Args:
        step: steps done.
        share_done: of the training, in [0, 1].
    """
    s = settings
    factor = min(1.0, (step + 1) / s.warmup) if s.warmup else 1.0
    if s.schedule == "cosine":
        factor *= 0.5 * (1 + math.cos(math.pi * share_done))
    for name, rate in (("adam_g", s.learning_rate), ("adam_d", s.disc_learning_rate)):
        for group in optimizers[name].param_groups if name in optimizers else []:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * factor)
            else:
                group["lr"] = rate * factor


@torch.no_grad()
def average_weights(averaged: nn.Module, network: nn.Module, ema: float, step: int) -> None:
    """Move averaged weights towards those of `network`, in place; early steps count little.

    Args:
        ema: decay, in [0, 1).
        step: steps done before.
    """
    decay = min(ema, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(averaged.parameters()), list(network.parameters()), 1 - decay)
