package dev.podidentity.agent.benchmark;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * The content of a plot: for each agent, a value at each place on the horizontal axis.
 *
 * @param file the file name, without the extension
 * @param title the title
 * @param across the name of the horizontal axis
 * @param up the name of the vertical axis, with its unit
 * @param decimals the number of decimals of the values
 * @param form how the values are drawn
 * @param places the places on the horizontal axis, from left to right
 * @param series one series per agent
 */
record Plot(
        String file, String title, String across, String up, int decimals, Form form, List<Place> places, List<Series> series) {

    enum Form {
        /** Values over numbers, with a logarithmic horizontal axis. */
        LINES,
        /** Values over numbers, with two logarithmic axes. */
        LINES_OF_LOGARITHMS,
        /** Values over cases. */
        BARS
    }

    /**
     * A place on the horizontal axis.
     *
     * @param label the label, which may have several lines
     * @param number its position among the others; ignored for bars
     */
    record Place(String label, double number) {

        static Place of(String label) {
            return new Place(label, 0);
        }

        static Place of(int number) {
            return new Place(Spread.number(number, 0), number);
        }
    }

    /** One value of an agent. */
    record Point(Place place, Spread value) {}

    /**
     * The values of an agent.
     *
     * @param agent its name
     * @param kind its kind, which has the same color and mark in all plots
     * @param points the values from left to right; empty where nothing was measured
     */
    record Series(String agent, Contender.Kind kind, List<Point> points) {

        Series {
            points = List.copyOf(points);
        }
    }

    /**
     * A value to show at a place: a measure in a case of the group.
     *
     * @param less the amount to subtract
     */
    record Case(Place place, String variant, Measure measure, double less) {

        Case(Place place, String variant, Measure measure) {
            this(place, variant, measure, 0);
        }
    }

    Plot {
        places = List.copyOf(places);
        series = List.copyOf(series);
    }

    /** Returns a plot of a group's cases; without series if none of them was measured. */
    static Plot of(
            String file, String title, String across, String up, Form form, String group, Results results, List<Case> cases) {
        Set<Contender> contenders = results.contenders(group);
        List<Series> series = new ArrayList<>();
        for (Contender contender : contenders) {
            List<Point> points = new ArrayList<>();
            for (Case shown : cases) {
                Spread value = results.spreads(group, shown.variant(), contender).get(shown.measure());
                if (value != null) {
                    points.add(new Point(shown.place(), value.less(shown.less())));
                }
            }
            if (!points.isEmpty()) {
                series.add(new Series(contender.name(), contender.kind(), points));
            }
        }
        int decimals = cases.stream().mapToInt(shown -> shown.measure().decimals()).min().orElse(0);
        return new Plot(file, title, across, up, decimals, form, cases.stream().map(Case::place).toList(), series);
    }
}
