"""Names inside of strings and comments: what is an annotation follows, all else stays."""

from __future__ import annotations

from before_after import assert_rewrites, notes_of

ANNOTATED = """
    from __future__ import annotations

    import typing
    from typing import Literal, Optional, TypeVar, cast

    from torch import nn

    N = TypeVar("N", bound="Net")

    class Net(nn.Module):
        child: 'Optional[Net]'
        kind: Literal["Net"] = "Net"

        def clone(self: "N", other: "typing.List['int']", **k: "dict[str, Net]") -> 'Net':
            found: "Net | nn.Linear" = cast("Net", other)
            later: list["Net"] = [self]
            raw: r"Net"
            return found

    def f(a: Later, b: "pkg.Net", c: "f(Net=1)") -> "Later": ...

    class Later(Net): ...
    """

DEPENDENT_ANNOTATED = """
    from __future__ import annotations

    import typing
    from typing import Literal, Optional, TypeVar, cast

    from metann import DependentModule
    from torch import nn

    N = TypeVar("N", bound="DependentNet")

    class DependentNet(DependentModule):
        child: 'Optional[DependentNet]'
        kind: Literal["Net"] = "Net"

        def clone(self: "N", other: "typing.List['int']", **k: "dict[str, DependentNet]") -> 'DependentNet':
            found: "DependentNet | nn.Linear" = cast("DependentNet", other)
            later: list["DependentNet"] = [self]
            raw: r"DependentNet"
            return found

    def f(a: DependentLater, b: "pkg.Net", c: "f(Net=1)") -> "DependentLater": ...

    class DependentLater(DependentNet): ...
    """  # noqa: E501


def test_annotations_in_strings_follow() -> None:
    assert_rewrites(
        ANNOTATED,
        DEPENDENT_ANNOTATED,
    )


def test_exported_names_follow() -> None:
    assert_rewrites(
        """
        from torch import nn

        __all__ = ["Net", 'make_net', "Block"]
        __all__ += ("Net",)
        __all__.append("Net")
        __all__.extend(["Net", "Other"])

        class Net(nn.Module): ...
        class Block: ...
        """,
        """
        from metann import DependentModule

        __all__ = ["DependentNet", 'make_net', "Block"]
        __all__ += ("DependentNet",)
        __all__.append("DependentNet")
        __all__.extend(["DependentNet", "Other"])

        class DependentNet(DependentModule): ...
        class Block: ...
        """,
    )


def test_type_comments_follow() -> None:
    assert_rewrites(
        """
        from torch import nn

        class Net(nn.Module):
            def clone(self, other, n):
                # type: (Net, int) -> dict[str, Net]  # Net itself
                x = []  # type: list[Net]
                y = []  # type: ignore[Net]
                z = []  # of type: Net
                return x  # type: nonsense Net
        """,
        """
        from metann import DependentModule

        class DependentNet(DependentModule):
            def clone(self, other, n):
                # type: (DependentNet, int) -> dict[str, DependentNet]  # Net itself
                x = []  # type: list[DependentNet]
                y = []  # type: ignore[Net]
                z = []  # of type: Net
                return x  # type: nonsense Net
        """,
    )


def test_other_strings_stay_and_are_named() -> None:
    text = '''
        from torch import nn

        MODELS = {"Net": "Net is a net"}

        class Net(nn.Module):
            """A Net."""

        def find(name="Net"):
            return globals()[name] or print(f"Net {name}")
        '''

    assert_rewrites(
        text,
        '''
        from metann import DependentModule

        MODELS = {"Net": "Net is a net"}

        class DependentNet(DependentModule):
            """A Net."""

        def find(name="Net"):
            return globals()[name] or print(f"Net {name}")
        ''',
    )
    why = "if it is to find the class by its name, that is DependentNet now"
    assert notes_of(text)[:2] == [
        ('line 3: the string "Net" stays', why),
        ('line 8: the string "Net" stays', why),
    ]
