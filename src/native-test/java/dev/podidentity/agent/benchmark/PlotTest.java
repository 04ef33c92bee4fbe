package dev.podidentity.agent.benchmark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.StringReader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.xpath.XPathConstants;
import javax.xml.xpath.XPathFactory;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;

class PlotTest {

    private static final Contender OURS = Contender.ours(Path.of("agent"));
    private static final Contender OTHER = Contender.other("a & b <c>", "other --port {port}");
    private static final Contender BARE = Contender.bare(Path.of("bare"), Path.of("answer"));
    private static final HitGroup HITS = new HitGroup();

    private final Results results = new Results();

    @BeforeEach
    void measure() {
        double factor = 1;
        for (int run = 0; run < 2; run++) {
            for (int connections : HitGroup.CONNECTIONS) {
                for (Contender contender : List.of(OURS, OTHER, BARE)) {
                    results.add("hits", HitGroup.variant(connections, 1), contender, run, values(factor));
                    factor *= 1.3;
                }
            }
        }
    }

    private static Map<Measure, Double> values(double factor) {
        return new EnumMap<>(Map.of(Measure.REQUESTS, 1_000 * factor, Measure.P99, 0.1 * factor, Measure.CPU, factor));
    }

    @Test
    void showsEachAgentsValueAtEachPlaceWithItsSpread() throws Exception {
        for (Plot plot : HITS.plots(results)) {
            Document svg = parse(PlotSvg.of(plot));

            assertThat(texts(svg, "//*[@class='series']/*[local-name()='title']"))
                    .containsExactly("ours", "a & b <c>", "bare handler");
            for (String agent : List.of("ours", "other", "bare")) {
                assertThat(elements(svg, "//*[@class='mark " + agent + "']")).hasSize(4);
                assertThat(elements(svg, "//*[@class='spread " + agent + "']")).hasSize(4);
                assertThat(points(svg, agent)).hasSize(4);
            }
            assertThat(texts(svg, "//*[local-name()='text']")).contains(
                    plot.title(), plot.across(), plot.up(), "1", "8", "64", "1,000", "ours", "a & b <c>", "bare handler");
        }
    }

    @Test
    void drawsGreaterValuesHigherUpAndGreaterNumbersFurtherRight() throws Exception {
        List<double[]> points = points(parse(PlotSvg.of(HITS.plots(results).get(0))), "ours");

        assertThat(points).extracting(point -> point[0]).isSorted();
        assertThat(points).extracting(point -> -point[1]).isSorted();
        assertThat(points).allSatisfy(point -> {
            assertThat(point[0]).isBetween(0.0, 760.0);
            assertThat(point[1]).isBetween(0.0, 420.0);
        });
    }

    @Test
    void drawsBarsWithTheirValues() throws Exception {
        for (double value : List.of(20.0, 30.0, 25.0)) {
            results.add("start", "exec to the first 200", OURS, 0, Map.of(Measure.FIRST, value, Measure.CPU_MILLIS, 10.0));
        }
        results.add("start", "exec to the first 200", OTHER, 0, Map.of(Measure.FIRST, 8.0));

        Document svg = parse(PlotSvg.of(new StartGroup().plots(results).get(0)));

        assertThat(elements(svg, "//*[@class='bar ours']")).hasSize(2);
        assertThat(elements(svg, "//*[@class='bar other']")).hasSize(1);
        assertThat(texts(svg, "//*[@class='value']")).containsExactly("25.0", "10.0", "8.0", "none");
        assertThat(texts(svg, "//*[contains(@class, 'bar')]/*")).contains("time: 25.0 (20.0 to 30.0)", "processor time: 10.0");
        assertThat(elements(svg, "//*[@class='spread over']")).hasSize(1);
    }

    @Test
    void takesTheTimeOfEksAuthFromThatOfAMiss() {
        results.add("misses", "EKS Auth takes 50 ms, 80 tokens, 8 clients", OURS, 0, Map.of(Measure.P50, 58.0, Measure.P99, 63.0));

        Plot plot = new MissGroup().plots(results).get(0);

        assertThat(plot.series()).singleElement().satisfies(series -> assertThat(series.points())
                .extracting(point -> point.place().label() + " " + point.value().median())
                .containsExactly("50 ms,\np50 8.0", "50 ms,\np99 13.0"));
    }

    @Test
    void isNotDrawnWhereNothingWasMeasured() {
        assertThat(GroupText.plots(new MemoryGroup(), results)).isEmpty();
        assertThat(GroupText.plots(HITS, results)).hasSize(3);
    }

    private static List<double[]> points(Document svg, String agent) throws Exception {
        List<double[]> points = new ArrayList<>();
        for (String point : elements(svg, "//*[@class='line " + agent + "']").get(0).getAttribute("points").split(" ")) {
            String[] numbers = point.split(",");
            points.add(new double[] {Double.parseDouble(numbers[0]), Double.parseDouble(numbers[1])});
        }
        return points;
    }

    private static Document parse(String svg) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newDefaultInstance();
        factory.setNamespaceAware(true);
        return factory.newDocumentBuilder().parse(new InputSource(new StringReader(svg)));
    }

    private static List<Element> elements(Document svg, String path) throws Exception {
        NodeList nodes = (NodeList) XPathFactory.newDefaultInstance().newXPath().evaluate(path, svg, XPathConstants.NODESET);
        List<Element> elements = new ArrayList<>();
        for (int i = 0; i < nodes.getLength(); i++) {
            elements.add((Element) nodes.item(i));
        }
        return elements;
    }

    private static List<String> texts(Document svg, String path) throws Exception {
        return elements(svg, path).stream().map(Element::getTextContent).toList();
    }
}
