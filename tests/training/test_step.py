"""One training step: who moves, who stays, and what the total is made of (2.4.1, eq. 5)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from burnish.configuration import make_settings
from burnish.method import losses
from burnish.method.discriminator import Discriminator
from burnish.method.generator import Encoder, Generator, InputShape
from burnish.method.masks import complementary_masks
from burnish.method.reconstruction import reconstruct
from burnish.settings import Settings
from burnish.training.step import LOSS_TERMS, discriminator_step, generator_losses, generator_pass

SMALL = {
    "image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (8, 16), "width": 32, "heads": 2,
    "depth_encoder": 1, "depth_decoder": 1, "disc_width": 32, "disc_heads": 2, "disc_depth": 2,
    "weight_adversarial": 1, "weight_latent": 1, "weight_consistency": 20, "weight_l1": 1,
    "weight_ssim": 1, "weight_gradient": 1,
}  # fmt: skip
SHAPE = InputShape(1, 32, 32)


class Game:
    """Generator, second encoder and discriminator with their optimisers and one batch."""

    def __init__(self, **changes: object) -> None:
        torch.manual_seed(0)
        self.settings: Settings = make_settings("tiny", SMALL | changes)
        self.generator = Generator(self.settings, SHAPE)
        self.encoder = Encoder(self.settings, SHAPE, 1)
        self.discriminator = Discriminator(self.settings, SHAPE)
        learners = [*self.generator.parameters(), *self.encoder.parameters()]
        self.adam_g = AdamW(learners, lr=1e-2)
        self.adam_d = AdamW(self.discriminator.parameters(), lr=1e-2)
        self.images = torch.rand(3, 1, 32, 32) * 2 - 1
        self.masks = complementary_masks(32, 32, (8,))[0]

    def paint(self) -> tuple[Tensor, Tensor]:
        return generator_pass(self.generator, self.images, self.masks, False)

    def teach_discriminator(self) -> Tensor:
        painted, _ = self.paint()
        return discriminator_step(
            self.discriminator, self.adam_d, self.images, painted, lambda loss: loss.backward()
        )

    def terms(self) -> dict[str, Tensor]:
        painted, bottleneck = self.paint()
        return generator_losses(
            self.images, painted, bottleneck, self.encoder, self.discriminator, self.settings,
            nullcontext,
        )  # fmt: skip

    def teach_generator(self) -> None:
        total = self.terms()["total"]
        self.adam_g.zero_grad()
        total.backward()
        self.adam_g.step()


def weights(*networks: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for network in networks for p in network.parameters()]


def unchanged(before: list[Tensor], after: list[Tensor]) -> list[bool]:
    return [torch.equal(a, b) for a, b in zip(before, after, strict=True)]


def test_the_discriminators_step_leaves_generator_and_encoder_unchanged() -> None:
    game = Game()
    g, d = weights(game.generator, game.encoder), weights(game.discriminator)
    loss = game.teach_discriminator()
    assert all(unchanged(g, weights(game.generator, game.encoder)))
    assert all(p.grad is None for p in game.generator.parameters())
    assert not any(unchanged(d, weights(game.discriminator)))
    assert not loss.requires_grad


def test_the_generators_step_leaves_the_discriminator_unchanged() -> None:
    game = Game()
    g, e, d = (weights(n) for n in (game.generator, game.encoder, game.discriminator))
    game.teach_generator()
    assert all(unchanged(d, weights(game.discriminator)))
    assert not any(unchanged(g, weights(game.generator)))
    assert not any(unchanged(e, weights(game.encoder)))


def test_what_the_generators_step_leaves_behind_does_not_reach_the_discriminators() -> None:
    moved = []
    for stale in (False, True):
        game = Game()
        if stale:
            game.terms()["total"].backward()  # fills the discriminator's gradients too
            game.adam_g.zero_grad()
        game.teach_discriminator()
        moved.append(weights(game.discriminator))
    assert all(unchanged(*moved))


def test_discriminator_learns_to_tell_them_apart() -> None:
    game = Game()
    course = [game.teach_discriminator().item() for _ in range(25)]
    assert course[0] == pytest.approx(0.693, abs=0.05)  # knows nothing: log 2
    assert course[-1] < 0.1 * course[0]
    real, _ = game.discriminator(game.images)
    painted, _ = game.discriminator(game.paint()[0])
    assert real.min() > painted.max()  # the logit says "real"


def test_discriminators_loss_is_the_cross_entropy_of_both_halves() -> None:
    game = Game()
    with torch.no_grad():
        real, _ = game.discriminator(game.images)
        fake, _ = game.discriminator(game.paint()[0])
    expected = -(real.sigmoid().log().mean() + (1 - fake.sigmoid()).log().mean()) / 2
    torch.testing.assert_close(game.teach_discriminator(), expected)


def test_generator_pass_is_the_merged_reconstruction_of_both_halves() -> None:
    game = Game()
    painted, bottleneck = game.paint()
    expected = reconstruct(game.generator, game.images, game.masks[None])[:, 0]
    torch.testing.assert_close(painted, expected)
    assert bottleneck.shape == (6, 16, 32)
    assert painted.dtype == torch.float32


def test_total_is_the_weighted_sum_of_eq_5() -> None:
    game = Game(
        weight_adversarial=0.7, weight_latent=1.3, weight_consistency=11, weight_l1=0.5,
        weight_ssim=2, weight_gradient=3,
    )  # fmt: skip
    terms = game.terms()
    with torch.no_grad():
        painted, bottleneck = game.paint()
        features = [game.discriminator(t)[1] for t in (game.images, painted)]
        encoded, _ = game.encoder(painted)
    expected = {
        "l1": losses.l1_loss(game.images, painted),
        "ssim": losses.ssim_loss(game.images, painted),
        "gradient": losses.gradient_loss(game.images, painted),
        "adversarial": losses.euclidean(*features),
        "latent": losses.latent_loss(bottleneck, encoded),
    }
    assert set(terms) == {"total", *expected}
    assert set(terms) | {"discriminator"} == set(LOSS_TERMS)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name].detach(), value)
        assert value > 1e-3  # else its weight would not be tested
    e = {name: value.item() for name, value in expected.items()}
    consistency = 0.5 * e["l1"] + 2 * e["ssim"] + 3 * e["gradient"]
    total = 0.7 * e["adversarial"] + 1.3 * e["latent"] + 11 * consistency
    assert terms["total"].item() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("name", ["l1", "ssim", "gradient"])
def test_a_weight_of_0_skips_its_term(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Tensor) -> Tensor:
        raise AssertionError(f"{name} was computed")

    monkeypatch.setattr(losses, f"{name}_loss", refuse)
    terms = Game(**{f"weight_{name}": 0}).terms()
    assert set(terms) == {"total", "l1", "ssim", "gradient", "adversarial", "latent"} - {name}


def test_consistency_0_skips_all_three_of_its_terms() -> None:
    terms = Game(weight_consistency=0).terms()
    assert set(terms) == {"total", "adversarial", "latent"}
    torch.testing.assert_close(terms["total"], terms["adversarial"] + terms["latent"])


@pytest.mark.parametrize("left_out", ["encoder", "discriminator"])
def test_without_encoder_or_discriminator_their_term_is_gone(left_out: str) -> None:
    game = Game()
    setattr(game, left_out, None)
    missing = {"encoder": "latent", "discriminator": "adversarial"}[left_out]
    terms = game.terms()
    assert missing not in terms
    assert len(terms) == 5


@pytest.mark.parametrize("only", ["adversarial", "latent", "l1", "ssim", "gradient"])
def test_every_term_alone_moves_every_weight_of_the_generator(only: str) -> None:
    game = Game()
    game.terms()[only].backward()
    still = {n for n, p in game.generator.named_parameters() if p.grad is None or not p.grad.any()}
    assert still == set()
    encoders = [p.grad is not None and bool(p.grad.any()) for p in game.encoder.parameters()]
    if only != "latent":
        assert not any(encoders)
    else:
        assert any(encoders)


def test_both_halves_are_one_batch() -> None:
    game, calls = Game(), []
    game.generator.register_forward_hook(lambda m, args, out: calls.append(args[0].shape[0]))
    game.paint()
    assert calls == [6]


@pytest.mark.parametrize("forward", [Game.teach_discriminator, Game.teach_generator])
def test_steps_repeat_exactly(forward: Callable[[Game], object]) -> None:
    ends = []
    for _ in range(2):
        game = Game()
        forward(game)
        ends.append(weights(game.generator, game.encoder, game.discriminator))
    assert all(unchanged(*ends))


def test_outside_the_region_nothing_is_learnt() -> None:
    game = Game()
    inside = torch.zeros(3, 1, 32, 32, dtype=torch.bool)
    inside[..., 4:28, 8:32] = True
    game.images = game.images.masked_fill(~inside, 0.0)
    painted, bottleneck = generator_pass(game.generator, game.images, game.masks, False, inside)
    free, _ = game.paint()
    assert torch.equal(painted, torch.where(inside, free, torch.zeros(())))
    terms = generator_losses(
        game.images, painted, bottleneck, game.encoder, game.discriminator, game.settings,
        nullcontext, inside,
    )  # fmt: skip
    l1 = (painted - game.images)[inside].abs().mean()  # a mean over what lies inside
    torch.testing.assert_close(terms["l1"], l1)


def test_a_region_that_is_everything_changes_nothing() -> None:
    game = Game()
    everything = torch.ones(3, 1, 32, 32, dtype=torch.bool)
    painted, bottleneck = generator_pass(game.generator, game.images, game.masks, False, everything)
    with_region = generator_losses(
        game.images, painted, bottleneck, game.encoder, game.discriminator, game.settings,
        nullcontext, everything,
    )  # fmt: skip
    for name, value in game.terms().items():
        torch.testing.assert_close(with_region[name], value)
