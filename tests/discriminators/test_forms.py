"""The table of forms: light to read, each entry a form, unknown names refused."""

import subprocess
import sys

import pytest

from discriminators.config import DiscriminatorConfig
from discriminators.form import Form
from discriminators.forms import BESIDE_A_BANK, FORMS, UNOPPOSED, make_form


def test_reading_the_table_does_not_import_torch():
    code = "import sys, discriminators.forms; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", list(FORMS))
def test_each_entry_makes_a_form(kind):
    form = make_form(DiscriminatorConfig(kind=kind, width=8), num_features=5, seed=0)
    assert isinstance(form, Form) and isinstance(form.paired, bool)
    assert FORMS[kind].__doc__ and type(form).__doc__


def test_an_unknown_form_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="unknown discriminator 'grph': did you mean 'graph'"):
        make_form(DiscriminatorConfig(kind="grph"), num_features=5, seed=0)


def test_the_lists_of_kinds_are_what_the_forms_say():
    made = {kind: make_form(DiscriminatorConfig(kind=kind, width=8), 5, 0) for kind in FORMS}
    assert {kind for kind, form in made.items() if form.uses_bank} == set(BESIDE_A_BANK)
    assert {kind for kind, form in made.items() if not form.trained} == set(UNOPPOSED)
