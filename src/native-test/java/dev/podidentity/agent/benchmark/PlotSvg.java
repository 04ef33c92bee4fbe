package dev.podidentity.agent.benchmark;

import java.io.StringWriter;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import javax.xml.stream.XMLOutputFactory;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamWriter;

/**
 * Draws a plot as SVG. The line through a mark extends from the minimum to the maximum. Agents also differ in the shape of
 * their marks, and colors follow the reader's light or dark mode.
 */
final class PlotSvg {

    private static final int WIDTH = 760;
    private static final int HEIGHT = 420;
    private static final double LEFT = 84;
    private static final double RIGHT = WIDTH - 24;
    private static final double TOP = 84;
    private static final double BOTTOM = HEIGHT - 76;
    private static final double TITLE_Y = 28;
    private static final double LEGEND_Y = 54;
    private static final double LEGEND_STEP = 170;
    /** Usually more than the width of a letter in the legend. */
    private static final double LETTER = 8;
    private static final double MARK = 5;
    private static final double CAP = 5;
    private static final double LINE_HEIGHT = 16;
    /** The fraction of a place's width that its bars fill. */
    private static final double FILLED = 0.76;
    /** Moves a text down so that it is vertically centered. */
    private static final double HALF_A_LETTER = 4.5;
    /**
     * Blue, orange and green that readers with color blindness can distinguish (after Okabe and Ito), lighter in dark mode.
     */
    private static final String STYLE = """
            svg { font-family: system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; font-size: 13px }
            .ground { fill: #ffffff } text { fill: #1f2328 } .title { font-size: 16px; font-weight: 600 } .value { font-size: 11px }
            .grid { stroke: #d1d9e0 } .axis { stroke: #59636e } .over { stroke: #1f2328 }
            .ours { fill: #0072b2; stroke: #0072b2 } .other { fill: #d55e00; stroke: #d55e00 } .bare { fill: #007a58; stroke: #007a58 }
            @media (prefers-color-scheme: dark) {
            .ground { fill: #0d1117 } text { fill: #f0f6fc } .grid { stroke: #3d444d } .axis { stroke: #9198a1 } .over { stroke: #f0f6fc }
            .ours { fill: #2f8fd8; stroke: #2f8fd8 } .other { fill: #ff8c42; stroke: #ff8c42 } .bare { fill: #2ebd85; stroke: #2ebd85 }
            }
            .bar { stroke: none } .line { fill: none; stroke-width: 2 } .spread { fill: none; stroke-width: 1.5 }
            """;

    private final Plot plot;
    private final XMLStreamWriter xml;
    private final Axis up;

    private PlotSvg(Plot plot, XMLStreamWriter xml) {
        this.plot = plot;
        this.xml = xml;
        double largest = plot.series().stream().flatMap(series -> series.points().stream())
                .mapToDouble(point -> point.value().most()).max().orElse(1);
        double smallest = plot.series().stream().flatMap(series -> series.points().stream())
                .mapToDouble(point -> point.value().least()).min().orElse(1);
        this.up = plot.form() == Plot.Form.LINES_OF_LOGARITHMS
                ? Axis.ofLogarithms(smallest, largest, BOTTOM, TOP)
                : Axis.fromZero(largest, BOTTOM, TOP);
    }

    /** Returns the text of an SVG file. */
    static String of(Plot plot) {
        StringWriter text = new StringWriter();
        try {
            XMLStreamWriter xml = XMLOutputFactory.newDefaultFactory().createXMLStreamWriter(text);
            new PlotSvg(plot, xml).draw();
            xml.close();
        } catch (XMLStreamException e) {
            throw new IllegalStateException("A string takes all that is written to it", e);
        }
        return text.append('\n').toString();
    }

    private void draw() throws XMLStreamException {
        xml.writeStartElement("svg");
        attributes("xmlns", "http://www.w3.org/2000/svg", "viewBox", "0 0 " + WIDTH + " " + HEIGHT,
                "width", String.valueOf(WIDTH), "height", String.valueOf(HEIGHT), "role", "img");
        element("title", plot.title());
        element("style", STYLE);
        empty("rect", "class", "ground", "width", String.valueOf(WIDTH), "height", String.valueOf(HEIGHT));
        text(plot.title(), LEFT, TITLE_Y, "start", "class", "title");
        drawUp();
        drawAcross();
        drawLegend();
        for (int i = 0; i < plot.series().size(); i++) {
            Plot.Series series = plot.series().get(i);
            newLine();
            xml.writeStartElement("g");
            attributes("class", "series");
            element("title", series.agent());
            if (plot.form() == Plot.Form.BARS) {
                drawBars(series, i);
            } else {
                drawLine(series);
            }
            xml.writeEndElement();
        }
        newLine();
        xml.writeEndElement();
    }

    private void drawUp() throws XMLStreamException {
        for (double label : up.labels()) {
            double y = up.place(label);
            newLine();
            line("grid", LEFT, y, RIGHT, y);
            text(up.text(label), LEFT - 8, y + HALF_A_LETTER, "end");
        }
        double middle = (TOP + BOTTOM) / 2;
        newLine();
        text(plot.up(), 18, middle, "middle", "transform", "rotate(-90 18 " + number(middle) + ")");
    }

    private void drawAcross() throws XMLStreamException {
        newLine();
        line("axis", LEFT, BOTTOM, RIGHT, BOTTOM);
        for (Plot.Place place : plot.places()) {
            double x = across(place);
            if (plot.form() != Plot.Form.BARS) {
                line("axis", x, BOTTOM, x, BOTTOM + CAP);
            }
            double y = BOTTOM + 20;
            for (String words : place.label().split("\n")) {
                text(words, x, y, "middle");
                y += LINE_HEIGHT;
            }
        }
        text(plot.across(), (LEFT + RIGHT) / 2, HEIGHT - 14, "middle");
    }

    private void drawLegend() throws XMLStreamException {
        double x = LEFT;
        for (Plot.Series series : plot.series()) {
            newLine();
            mark(series.kind(), x + MARK, LEGEND_Y - HALF_A_LETTER, "");
            text(series.agent(), x + 16, LEGEND_Y, "start");
            x += Math.max(LEGEND_STEP, series.agent().length() * LETTER + 32);
        }
    }

    private void drawLine(Plot.Series series) throws XMLStreamException {
        StringBuilder through = new StringBuilder();
        for (Plot.Point point : series.points()) {
            through.append(through.isEmpty() ? "" : " ")
                    .append(number(across(point.place()))).append(',').append(number(up.place(point.value().median())));
        }
        empty("polyline", "class", "line " + name(series.kind()), "points", through.toString());
        for (Plot.Point point : series.points()) {
            double x = across(point.place());
            newLine();
            spread(name(series.kind()), x, point.value());
            mark(series.kind(), x, up.place(point.value().median()), words(point));
        }
    }

    private void drawBars(Plot.Series series, int index) throws XMLStreamException {
        double place = (RIGHT - LEFT) / plot.places().size();
        double width = place * FILLED / plot.series().size();
        for (Plot.Place each : plot.places()) {
            double left = across(each) - place * FILLED / 2 + index * width;
            Optional<Plot.Point> there = series.points().stream().filter(point -> point.place().equals(each)).findAny();
            if (there.isEmpty()) {
                text("none", left + width / 2, BOTTOM - 5, "middle", "class", "value");
                continue;
            }
            Plot.Point point = there.get();
            double top = up.place(Math.max(0, point.value().median()));
            newLine();
            xml.writeStartElement("rect");
            attributes("class", "bar " + name(series.kind()), "x", number(left + 1), "y", number(top),
                    "width", number(width - 2), "height", number(BOTTOM - top));
            element("title", words(point));
            xml.writeEndElement();
            spread("over", left + width / 2, point.value());
            text(Spread.number(point.value().median(), plot.decimals()), left + width / 2,
                    up.place(Math.max(0, point.value().most())) - 5, "middle", "class", "value");
        }
    }

    private double across(Plot.Place place) {
        if (plot.form() == Plot.Form.BARS) {
            return LEFT + (RIGHT - LEFT) * (plot.places().indexOf(place) + 0.5) / plot.places().size();
        }
        List<Plot.Place> places = plot.places();
        double last = places.get(places.size() - 1).number();
        double margin = (RIGHT - LEFT) / 16;
        return new Axis(places.get(0).number(), last, true, LEFT + margin, RIGHT - margin).place(place.number());
    }

    /** Draws a line from the minimum to the maximum, with caps; none if they are equal. */
    private void spread(String kind, double x, Spread value) throws XMLStreamException {
        if (value.least() < value.most()) {
            double low = up.place(Math.max(up.from(), value.least()));
            double high = up.place(Math.max(up.from(), value.most()));
            empty("path", "class", "spread " + kind, "d", "M" + number(x) + " " + number(low) + "V" + number(high)
                    + "M" + number(x - CAP) + " " + number(low) + "h" + number(2 * CAP)
                    + "M" + number(x - CAP) + " " + number(high) + "h" + number(2 * CAP));
        }
    }

    private void mark(Contender.Kind kind, double x, double y, String title) throws XMLStreamException {
        String path = switch (kind) {
            case OURS -> "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z";
            case OTHER -> "m-4.5 -4.5h9v9h-9z";
            case BARE -> "m0 -5.5l5.5 10h-11z";
        };
        xml.writeStartElement("path");
        attributes("class", (title.isEmpty() ? "" : "mark ") + name(kind), "d", "M" + number(x) + " " + number(y) + path);
        if (!title.isEmpty()) {
            element("title", title);
        }
        xml.writeEndElement();
    }

    private String words(Plot.Point point) {
        return point.place().label().replace('\n', ' ') + ": " + point.value().text(plot.decimals());
    }

    private static String name(Contender.Kind kind) {
        return kind.name().toLowerCase(Locale.ROOT);
    }

    private void line(String kind, double x1, double y1, double x2, double y2) throws XMLStreamException {
        empty("line", "class", kind, "x1", number(x1), "y1", number(y1), "x2", number(x2), "y2", number(y2));
    }

    private void text(String words, double x, double y, String anchor, String... more) throws XMLStreamException {
        xml.writeStartElement("text");
        attributes("x", number(x), "y", number(y), "text-anchor", anchor);
        attributes(more);
        xml.writeCharacters(words);
        xml.writeEndElement();
    }

    private void element(String name, String words) throws XMLStreamException {
        xml.writeStartElement(name);
        xml.writeCharacters(words);
        xml.writeEndElement();
    }

    private void empty(String name, String... attributes) throws XMLStreamException {
        xml.writeEmptyElement(name);
        attributes(attributes);
    }

    private void attributes(String... namesAndValues) throws XMLStreamException {
        for (int i = 0; i < namesAndValues.length; i += 2) {
            xml.writeAttribute(namesAndValues[i], namesAndValues[i + 1]);
        }
    }

    private void newLine() throws XMLStreamException {
        xml.writeCharacters("\n");
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, "%.1f", value);
    }
}
