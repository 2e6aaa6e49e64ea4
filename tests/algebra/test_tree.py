"""The merge tree: one shape for each number of leaves, whatever comes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherlode.algebra import reference
from motherlode.algebra.summary import Summary, Traits
from motherlode.algebra.tree import Node, climb, root
from motherlode.runtime.driver import Tree
from motherlode.runtime.part import Part


class Trace(Summary):
    """Writes down who was merged with whom, and in place, as a consuming merge does."""

    traits = Traits("ordered", "a trace of merges", commutative=False)

    def zero(self):
        return []

    def update(self, state, batch):
        return [*state, batch]

    def merge(self, left, right):
        left[:] = [list(left), list(right)]
        return left


def part(*leaves):
    """The part of some consecutive leaves, merged as the reference does."""
    state = reference.fold(Trace(), [lambda n=n: [n] for n in leaves])
    return Part(state, frozenset(map(str, leaves)))


def placed(count, nodes):
    tree = Tree(Trace(), count)
    for node in nodes:
        tree.place(node, part(*node.leaves(count)))
    return tree


counts = st.integers(1, 40)
orders = counts.flatmap(lambda n: st.permutations(range(n)))


@given(orders)
def test_any_order_of_completion_gives_the_reference_tree(order):
    tree = placed(len(order), [Node(0, n) for n in order])
    assert not tree.missing
    result = tree.result()
    assert result.state == part(*range(len(order))).state
    assert result.covers == set(map(str, range(len(order))))


@given(counts, st.randoms(use_true_random=False))
def test_higher_nodes_may_come_ready_made(count, chance):
    """An engine may merge siblings where they lie."""
    nodes = cover(root(count), count, chance)
    chance.shuffle(nodes)
    assert placed(count, nodes).result().state == part(*range(count)).state


def cover(node, count, chance):
    if not node.leaves(count):
        return []
    if node.level == 0 or chance.random() < 0.3:
        return [node]
    left = Node(node.level - 1, node.rank * 2)
    return cover(left, count, chance) + cover(left.sibling, count, chance)


@given(orders, st.data())
def test_what_arrives_twice_counts_once(order, data):
    count = len(order)
    doubles = data.draw(st.lists(st.sampled_from(order), max_size=6))
    tree = Tree(Trace(), count)
    arrivals = [*order]
    for n in doubles:
        arrivals.insert(data.draw(st.integers(0, len(arrivals))), n)
    seen = set()
    for n in arrivals:
        assert tree.place(Node(0, n), part(n)) == (n not in seen)
        seen.add(n)
    assert tree.result().state == part(*range(count)).state


def test_a_node_is_ignored_where_a_leaf_of_it_is_there_already():
    tree = placed(4, [Node(0, 0)])
    assert not tree.place(Node(1, 0), part(0, 1))
    assert tree.missing == [1, 2, 3]


@given(orders, st.data())
def test_what_is_fresh_holds_what_was_placed_since(order, data):
    """Documents are of whole, unconsumed nodes; each is told once; together they hold it all."""
    count = len(order)
    tree = Tree(Trace(), count)
    told = set()
    for n in order:
        tree.place(Node(0, n), part(n))
        if data.draw(st.booleans()):
            for node, document in tree.fresh().items():
                assert node not in told
                told.add(node)
                wanted = part(*node.leaves(count))
                assert Part.from_bytes(Trace(), document) == wanted
            assert tree.fresh() == {}
            held = {leaf for node in told for leaf in node.leaves(count)}
            assert held == tree.covered


@given(counts)
def test_leaves_of_siblings_do_not_overlap(count):
    for level in range(root(count).level + 1):
        ranks = range((count >> level) + 1)
        leaves = [n for rank in ranks for n in Node(level, rank).leaves(count)]
        assert leaves == list(range(count))


@given(counts, st.integers(0, 39))
def test_climbing_never_takes_in_other_leaves(count, leaf):
    node = Node(0, leaf % count)
    top = climb(node, count)
    assert top.leaves(count) == node.leaves(count)
    assert top == root(count) or top.rank % 2 or top.sibling.leaves(count)


def test_parents_and_siblings():
    assert Node(0, 5).parent == Node(1, 2)
    assert Node(0, 5).sibling == Node(0, 4)
    assert Node(2, 1).first == 4
    assert [root(n).level for n in (1, 2, 3, 4, 5, 8, 9)] == [0, 1, 2, 2, 3, 3, 4]


def test_of_no_leaves_there_is_the_empty_state():
    tree = Tree(Trace(), 0)
    assert tree.missing == []
    assert tree.result().state == []


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 11])
def test_the_tree_is_as_flat_as_can_be(count):
    def depth(state):
        return 1 + max(map(depth, state)) if isinstance(state[0], list) else 0

    assert depth(part(*range(count)).state) == (count - 1).bit_length()
