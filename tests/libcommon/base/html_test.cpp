#include "base/html.h"

#include <catch2/catch.hpp>

using namespace fettle;

TEST_CASE("html: text gets out of neither an element nor an attribute in either kind of quotes") {
  CHECK(html_escaped("a <b> & 'c' \"d\"\n\x1b") == "a &lt;b&gt; &amp; &#39;c&#39; &quot;d&quot;  ");
  CHECK(html_escaped("\xC3\xA9t\xC3\xA9") == "\xC3\xA9t\xC3\xA9");
}
