package dev.podidentity.agent.prometheus;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/** Draws the results of Prometheus queries as SVG, with a panel for each query and a line for each series. */
public final class Picture {

    private static final List<String> COLOURS =
            List.of("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22", "#7f7f7f");
    private static final int COLUMNS = 2;
    private static final int WIDTH = 560;
    private static final int HEIGHT = 235;
    private static final int LEFT = 52;
    private static final int TOP = 30;
    private static final int PLOT_WIDTH = WIDTH - LEFT - 16;
    private static final int PLOT_HEIGHT = 130;
    private static final int MOST_LINES = 10;
    /** Width of the names, and height of the rows, of {@link #addTimes}. */
    private static final int NAMES = 340;
    private static final int ROW = 18;
    /** Grafana's names of units, and what it shows for them. */
    private static final Map<String, String> UNITS = Map.of("reqps", " (per second)", "s", " (seconds)");
    /** Seconds between two points of a series without a gap. */
    private static final double STEP = 1;
    private static final DateTimeFormatter CLOCK = DateTimeFormatter.ofPattern("HH:mm:ss").withZone(ZoneOffset.UTC);

    private final Instant from;
    private final Instant to;
    private final StringBuilder panels = new StringBuilder();
    private int count;
    private int timesHeight;

    public Picture(Instant from, Instant to) {
        this.from = from;
        this.to = to;
    }

    /**
     * Adds a panel.
     *
     * @param unit Grafana's name of the unit
     * @param series the result of a range query
     */
    public void add(String title, String unit, JsonArray series) {
        int x = count % COLUMNS * WIDTH;
        int y = count / COLUMNS * HEIGHT;
        count++;
        List<Line> lines = new ArrayList<>();
        for (int i = 0; i < series.size(); i++) {
            Line line = Line.of(series.getJsonObject(i));
            // A series that is always 0 would only lengthen the legend.
            if (line.most() > 0) {
                lines.add(line);
            }
        }
        lines.sort((a, b) -> Double.compare(b.most(), a.most()));
        double most = lines.stream().mapToDouble(Line::most).max().orElse(1);
        panels.append(String.format(Locale.ROOT, "<g transform=\"translate(%d %d)\">%n", x, y));
        text(LEFT, 18, "title", title + UNITS.getOrDefault(unit, ""));
        for (int i = 0; i <= 2; i++) {
            int lineY = TOP + PLOT_HEIGHT - PLOT_HEIGHT * i / 2;
            panels.append(String.format(
                    Locale.ROOT, "<path class=\"grid\" d=\"M%d %dH%d\"/>%n", LEFT, lineY, LEFT + PLOT_WIDTH));
            text(4, lineY + 4, "axis", number(most * i / 2));
        }
        text(LEFT, TOP + PLOT_HEIGHT + 14, "axis", CLOCK.format(from));
        text(LEFT + PLOT_WIDTH - 46, TOP + PLOT_HEIGHT + 14, "axis", CLOCK.format(to));
        int legendX = LEFT;
        int legendY = TOP + PLOT_HEIGHT + 32;
        for (int i = 0; i < Math.min(MOST_LINES, lines.size()); i++) {
            String colour = COLOURS.get(i);
            panels.append(String.format(Locale.ROOT, "<path class=\"line\" stroke=\"%s\" d=\"%s\"/>%n",
                    colour, path(lines.get(i), most)));
            String name = lines.get(i).name();
            int width = 22 + 6 * name.length();
            if (legendX + width > LEFT + PLOT_WIDTH && legendX > LEFT) {
                legendX = LEFT;
                legendY += 15;
            }
            panels.append(String.format(Locale.ROOT, "<rect x=\"%d\" y=\"%d\" width=\"10\" height=\"3\" fill=\"%s\"/>%n",
                    legendX, legendY - 5, colour));
            text(legendX + 14, legendY, "axis", name);
            legendX += width;
        }
        panels.append("</g>\n");
    }

    /** Adds a row for each series, over the whole width, that shows when it had a value. Must be called last. */
    public void addTimes(String title, JsonArray series) {
        int top = (count + COLUMNS - 1) / COLUMNS * HEIGHT;
        panels.append(String.format(Locale.ROOT, "<g transform=\"translate(0 %d)\">%n", top));
        text(LEFT, 18, "title", title);
        double width = COLUMNS * WIDTH - NAMES - 16;
        for (int i = 0; i < series.size(); i++) {
            Line line = Line.of(series.getJsonObject(i));
            int y = TOP + i * ROW;
            text(LEFT, y + 11, "axis", line.name());
            for (int j = 0; j < line.points().size(); ) {
                double begin = line.points().get(j)[0];
                double end = begin + STEP;
                for (j++; j < line.points().size() && line.points().get(j)[0] - end < STEP; j++) {
                    end = line.points().get(j)[0] + STEP;
                }
                panels.append(String.format(Locale.ROOT,
                        "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"12\" fill=\"#d62728\"/>%n",
                        NAMES + width * share(begin), y, width * (share(end) - share(begin))));
            }
        }
        int below = TOP + series.size() * ROW + 14;
        text(NAMES, below, "axis", CLOCK.format(from));
        text(NAMES + (int) width - 46, below, "axis", CLOCK.format(to));
        panels.append("</g>\n");
        timesHeight = below + 16;
    }

    /** Returns which part of the time has passed, from 0 to 1. */
    private double share(double seconds) {
        return Math.min(1, (seconds - from.getEpochSecond()) / (to.getEpochSecond() - from.getEpochSecond()));
    }

    private String path(Line line, double most) {
        StringBuilder path = new StringBuilder();
        double last = Double.NaN;
        for (double[] point : line.points()) {
            double x = LEFT + PLOT_WIDTH * share(point[0]);
            double y = TOP + PLOT_HEIGHT - PLOT_HEIGHT * point[1] / most;
            // Prometheus omits points without a value.
            boolean gap = !(point[0] - last < 2 * STEP);
            path.append(String.format(Locale.ROOT, "%s%.1f %.1f", gap ? "M" : "L", x, y));
            last = point[0];
        }
        return path.toString();
    }

    private void text(int x, int y, String kind, String text) {
        String escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
        panels.append(String.format(Locale.ROOT, "<text class=\"%s\" x=\"%d\" y=\"%d\">%s</text>%n", kind, x, y, escaped));
    }

    private static String number(double value) {
        if (value >= 10_000) {
            return String.format(Locale.ROOT, "%.0fk", value / 1000);
        }
        return String.format(Locale.ROOT, value >= 100 ? "%.0f" : value >= 1 ? "%.1f" : "%.2f", value);
    }

    public String svg() {
        int width = COLUMNS * WIDTH;
        int height = (count + COLUMNS - 1) / COLUMNS * HEIGHT + timesHeight;
        return """
                <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %1$d %2$d" width="%1$d" height="%2$d">
                <style>
                text { font-family: sans-serif; fill: #333 } .title { font-size: 14px; font-weight: bold } .axis { font-size: 11px }
                .grid { stroke: #ddd } .line { fill: none; stroke-width: 1.6 }
                </style>
                <rect width="%1$d" height="%2$d" fill="#fff"/>
                %3$s</svg>
                """.formatted(width, height, panels);
    }

    /** A series: its label values, and its points, each of which is a time in seconds and a value. */
    private record Line(String name, List<double[]> points) {

        static Line of(JsonObject series) {
            String name = series.getJsonObject("metric").stream()
                    .filter(label -> !label.getKey().equals("__name__"))
                    .sorted(Map.Entry.comparingByKey())
                    .map(label -> String.valueOf(label.getValue()))
                    .collect(Collectors.joining(" "));
            List<double[]> points = new ArrayList<>();
            JsonArray values = series.getJsonArray("values");
            for (int i = 0; i < values.size(); i++) {
                double value = Double.parseDouble(values.getJsonArray(i).getString(1).replace("+Inf", "Infinity"));
                if (Double.isFinite(value)) {
                    points.add(new double[] {values.getJsonArray(i).getDouble(0), value});
                }
            }
            return new Line(name.isEmpty() ? "all" : name, points);
        }

        double most() {
            return points.stream().mapToDouble(point -> point[1]).max().orElse(0);
        }
    }
}
