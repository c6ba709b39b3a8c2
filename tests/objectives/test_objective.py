"""The sum that training makes small."""

import pytest
import torch

from refold.nets import NetSpec, build_net
from refold.objectives import ERRORS, Contractive, Gaussian, Objective, Sparse, Variational


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def net_of(variational=False):
    torch.manual_seed(0)
    return build_net(
        NetSpec("dense", (4,), (0,) * 4, 2, (5,), "tanh", "identity", "identity", False, variational, False, False)
    )


RAW = torch.randn(10, 4, generator=seeded(5))


def test_the_terms_are_named_and_add_up_to_what_is_trained():
    objective = Objective(ERRORS["squared"], (Variational(0.5), Sparse(0.1), Contractive(0.1)), Gaussian(0.1))
    terms = objective.terms(net_of(variational=True).train(), RAW, seeded())
    assert list(terms) == ["error", "divergence", "sparsity", "contraction"]
    assert all(term.ndim == 0 and term.item() > 0 for term in terms.values())
    assert objective.variational and not Objective(ERRORS["squared"]).variational


def test_the_error_is_measured_against_the_undamaged_records():
    net = net_of().eval()
    terms = Objective(ERRORS["squared"], corruption=Gaussian(0.5)).terms(net, RAW, seeded())
    damaged = Objective(ERRORS["squared"], corruption=Gaussian(0.5)).corrupt(net, RAW, seeded())
    with torch.no_grad():
        assert terms["error"].item() == pytest.approx((net(damaged) - RAW).square().mean().item(), rel=1e-5)


def test_penalties_of_the_code_do_not_touch_its_variances():
    net = net_of(variational=True).eval()
    alone = Objective(ERRORS["squared"], (Sparse(0.1),)).terms(net, RAW, seeded())
    assert alone["sparsity"].item() == pytest.approx(0.1 * net.encode(RAW).abs().mean().item(), rel=1e-5)


def test_the_divergence_is_shared_out_over_the_columns():
    net = net_of(variational=True).eval()
    terms = Objective(ERRORS["squared"], (Variational(2.0),)).terms(net, RAW, seeded())
    code = net.encoder(net.scaling.inputs(RAW))
    whole = Variational(2.0)(code, RAW, seeded()).mean().item()
    assert terms["divergence"].item() == pytest.approx(whole / RAW.shape[1], rel=1e-5)


def test_a_variational_code_is_drawn_in_training_only():
    net = net_of(variational=True)
    objective = Objective(ERRORS["squared"], (Variational(),))
    drawn = {objective.terms(net.train(), RAW, seeded(seed))["error"].item() for seed in range(3)}
    still = {objective.terms(net.eval(), RAW, seeded(seed))["error"].item() for seed in range(3)}
    assert len(drawn) == 3 and len(still) == 1


def test_a_users_own_penalty_and_corruption_take_part():
    class Nearby:
        name = "nearness"

        def __call__(self, code, inputs, generator):
            return code.square().sum(1)

    def blank(raw, domain, generator):
        return torch.zeros_like(raw)

    net = net_of().eval()
    terms = Objective(ERRORS["squared"], (Nearby(),), blank).terms(net, RAW, seeded())
    with torch.no_grad():
        assert terms["nearness"].item() == pytest.approx(
            net.encode(torch.zeros(1, 4)).square().sum().item(), rel=1e-5
        )
