"""The templates of HTML pages, in templates/. They escape whatever comes from a run."""

import os

import jinja2

ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'templates')),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


def render(template: str, **values) -> str:
    """Fill in one of the templates."""
    return ENVIRONMENT.get_template(template).render(values).strip()
