package dev.podidentity.agent.benchmark;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * What one picture shows: for each agent, a value at each place of the horizontal axis.
 *
 * @param file its name, without the ending
 * @param title what it shows
 * @param across the name of the horizontal axis
 * @param up the name of the vertical axis, with its unit
 * @param decimals of the values
 * @param form how the values are drawn
 * @param places of the horizontal axis, from left to right
 * @param series one for each agent
 */
record Plot(
        String file, String title, String across, String up, int decimals, Form form, List<Place> places, List<Series> series) {

    enum Form {
        /** Over numbers, which the horizontal axis shows by their logarithms. */
        LINES,
        /** The same, and by logarithms of the values too. */
        LINES_OF_LOGARITHMS,
        /** Over cases. */
        BARS
    }

    /**
     * A place on the horizontal axis.
     *
     * @param label which may have several lines
     * @param number where it is among the others; of no account to bars
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
     * @param kind of agent, which has the same colour and mark in all plots
     * @param points from left to right; none where nothing was measured
     */
    record Series(String agent, Contender.Kind kind, List<Point> points) {

        Series {
            points = List.copyOf(points);
        }
    }

    /**
     * What is to be shown at a place: the value of a measure in a case of the group.
     *
     * @param less what is taken from it
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

    /** Takes the values of a group's cases out of the results; without series if none of them was measured. */
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
