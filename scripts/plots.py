"""``python scripts/plots.py PAGE FOLDER NAME``: the charts of a bench's page as files for the docs.

PAGE is what ``seal bench … --html PAGE`` wrote; its SVG charts with curves become
``FOLDER/NAME-1.svg`` and so on.
"""

import re
import sys
from pathlib import Path


def main(page: str, folder: str, name: str) -> None:
    """Write each chart that stands by itself (the bars of rows do not)."""
    text = Path(page).read_text(encoding="utf-8")
    charts = re.findall(r'<svg xmlns="http://www.w3.org/2000/svg".*?</svg>', text, re.DOTALL)
    for number, chart in enumerate(charts, 1):
        (Path(folder) / f"{name}-{number}.svg").write_text(chart + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(charts)} charts\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
