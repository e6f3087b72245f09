"""The study of partitions: python benchmarks/scaling/run.py writes all figures and tables."""

from __future__ import annotations

import time
from pathlib import Path

import click
import figures
import six_terabytes
import study
import tables

RESULTS = Path(__file__).with_name("results")


@click.command()
@click.option(
    "--output", default=RESULTS, type=click.Path(path_type=Path), help="Folder of the results."
)
def main(output: Path) -> None:
    """Count and predict, and write figures and tables."""
    began = time.perf_counter()

    def told(what: str) -> None:
        click.echo(f"{time.perf_counter() - began:5.0f} s  {what}")

    output.mkdir(parents=True, exist_ok=True)
    figures.parts(output)
    links = study.links()
    figures.links(links, output)
    told("links")
    strong, large = study.strong(), study.large_frames()
    figures.strong(strong, large, output)
    figures.efficiency(strong, large, output)
    figures.memory(strong, output)
    told("strong scaling, memory")
    weak = study.weak()
    figures.weak(weak, output)
    told("weak scaling")
    sections = {
        "Bytes over each kind of link": tables.links(links),
        "Strong scaling": tables.strong(strong),
        "Strong scaling with frames of 1024 × 1024": tables.large(large),
        "Weak scaling": tables.weak(weak),
        "Machines": tables.machines(study.machines()),
        "Engines": tables.engines(study.engines()),
        "Six terabytes": tables.six_tb(six_terabytes.plans()),
    }
    head = "Written by `run.py`; the [README](../README.md) says what they show."
    text = f"# Tables of the study\n\n{head}\n" + "".join(
        f"\n## {title}\n\n{body}" for title, body in sections.items()
    )
    (output / "tables.md").write_text(text, encoding="utf-8")
    told("tables")


if __name__ == "__main__":
    main()
