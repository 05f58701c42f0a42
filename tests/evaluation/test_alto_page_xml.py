from __future__ import annotations

import pytest

from ocrtool.errors import InputError
from ocrtool.evaluation.alto_page_xml import text_of_xml

ALTO = """<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Layout><Page><PrintSpace>
<TextBlock><TextLine><String CONTENT="The"/><SP/><String CONTENT="har" SUBS_TYPE="HypPart1"/>
<HYP CONTENT="-"/></TextLine>
<TextLine><String CONTENT="bour" SUBS_TYPE="HypPart2"/><SP/><String CONTENT="town"/></TextLine>
</TextBlock>
<TextBlock><TextLine><String CONTENT="&quot;Next&quot;"/></TextLine></TextBlock>
</PrintSpace></Page></Layout></alto>"""

PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"><Page>
<ReadingOrder><OrderedGroup id="g">
<RegionRefIndexed index="1" regionRef="b"/><RegionRefIndexed index="0" regionRef="c"/>
</OrderedGroup></ReadingOrder>
<TextRegion id="a"><TextEquiv><Unicode>last</Unicode></TextEquiv></TextRegion>
<TextRegion id="b">
<TextLine><TextEquiv index="1"><Unicode>secnd</Unicode></TextEquiv>
<TextEquiv index="0"><Unicode>second</Unicode></TextEquiv></TextLine>
<TextLine><Word><TextEquiv><Unicode>of</Unicode></TextEquiv></Word>
<Word><TextEquiv><Unicode>two</Unicode></TextEquiv></Word></TextLine>
<TextEquiv><Unicode>the region again</Unicode></TextEquiv>
</TextRegion>
<TextRegion id="c"><TextLine><TextEquiv><Unicode>first</Unicode></TextEquiv></TextLine></TextRegion>
</Page></PcGts>"""


def test_alto_with_a_split_word() -> None:
    assert text_of_xml(ALTO) == 'The har-\nbour town\n\n"Next"'


def test_page_xml_follows_the_reading_order() -> None:
    assert text_of_xml(PAGE) == "first\n\nsecond\nof two\n\nlast"


@pytest.mark.parametrize(
    ("content", "words"),
    [("<alto><Layout></alto>", "line 1: not well-formed"), ("<html/>", "but <html>")],
)
def test_other_files_are_refused(content: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        text_of_xml(content)
