"""What waits in memory is bounded, and each tenant has a share of it."""

from hub.shares import MemoryBudget


def test_one_tenant_alone_gets_half_and_leaves_room_for_others() -> None:
    budget = MemoryBudget(120)
    assert budget.take("loud", 60)
    assert not budget.take("loud", 1)
    assert budget.take("quiet", 30)
    assert not budget.take("quiet", 1)
    assert budget.take("third", 15)
    assert (budget.held, budget.refusals) == (105, 2)


def test_what_is_given_back_can_be_taken_again() -> None:
    budget = MemoryBudget(100)
    assert budget.take("acme", 50)
    budget.give_back("acme", 20)
    assert budget.take("acme", 10)
    for size in (30, 10):
        budget.give_back("acme", size)
    assert (budget.held, budget.take("acme", 50)) == (0, True)
