package dev.podidentity.agent.benchmark;

import java.util.List;
import java.util.Locale;

/** A median, with the minimum and the maximum. */
record Spread(double median, double least, double most) {

    /** @throws IllegalArgumentException if there are no values */
    static Spread of(List<Double> values) {
        if (values.isEmpty()) {
            throw new IllegalArgumentException("There is no median of nothing");
        }
        List<Double> sorted = values.stream().sorted().toList();
        int middle = sorted.size() / 2;
        double median = sorted.size() % 2 == 1 ? sorted.get(middle) : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
        return new Spread(median, sorted.get(0), sorted.get(sorted.size() - 1));
    }

    /** Returns the smallest value that at least this percentage of the values does not exceed. */
    static double percentile(List<Double> values, int percent) {
        List<Double> sorted = values.stream().sorted().toList();
        int index = (int) Math.ceil(sorted.size() * percent / 100.0) - 1;
        return sorted.get(Math.max(0, index));
    }

    /** Returns the spread of values that are all smaller by this number. */
    Spread less(double number) {
        return new Spread(median - number, least - number, most - number);
    }

    /** Returns text such as {@code 5,012 (4,980 to 5,100)}; only the median if all values look the same. */
    String text(int decimals) {
        String low = number(least, decimals);
        String high = number(most, decimals);
        return low.equals(high) ? number(median, decimals) : number(median, decimals) + " (" + low + " to " + high + ")";
    }

    static String number(double value, int decimals) {
        return String.format(Locale.ROOT, "%,." + decimals + "f", value);
    }
}
