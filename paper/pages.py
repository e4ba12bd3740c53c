"""The templates of pages, in templates/. Those of HTML escape whatever comes from a run."""

import os

import jinja2

ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'templates')),
    autoescape=jinja2.select_autoescape(['html']),
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


def render(template: str, **values) -> str:
    """Fill in one of the templates."""
    return ENVIRONMENT.get_template(template).render(values).strip()
