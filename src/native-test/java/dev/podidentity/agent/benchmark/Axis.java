package dev.podidentity.agent.benchmark;

import java.util.ArrayList;
import java.util.List;

/**
 * An axis of a plot: maps numbers to positions, and selects the labeled numbers.
 *
 * @param from the number at its start
 * @param to the number at its end, which is larger
 * @param logarithmic whether equal distances are equal factors
 * @param begin the position of {@code from}
 * @param end the position of {@code to}
 */
record Axis(double from, double to, boolean logarithmic, double begin, double end) {

    private static final double[] ROUND = {1, 2, 5};
    private static final double TEN = 10;
    /** The approximate maximum. */
    private static final int LABELS = 6;
    /** Over more decades than this, the powers of ten are enough labels. */
    private static final double FEW_DECADES = 2;

    /** Returns an axis from 0 to a round number that is at least the largest. */
    static Axis fromZero(double largest, double begin, double end) {
        double step = step(largest);
        return new Axis(0, Math.max(1, Math.ceil(largest / step)) * step, false, begin, end);
    }

    /** Returns a logarithmic axis that starts and ends with round numbers. */
    static Axis ofLogarithms(double smallest, double largest, double begin, double end) {
        double from = roundBelow(smallest);
        double to = from;
        while (to < largest || to <= from) {
            to = roundAbove(to);
        }
        return new Axis(from, to, true, begin, end);
    }

    double place(double number) {
        double share = logarithmic
                ? Math.log(number / from) / Math.log(to / from)
                : (number - from) / (to - from);
        return begin + share * (end - begin);
    }

    /** Returns the numbers to label, in order. */
    List<Double> labels() {
        List<Double> labels = new ArrayList<>();
        if (logarithmic) {
            boolean all = Math.log10(to / from) <= FEW_DECADES;
            for (double number = from; number <= to * (1 + 1e-9); number = roundAbove(number)) {
                if (all || mantissa(number) == 1) {
                    labels.add(number);
                }
            }
        } else {
            double step = step(to);
            for (int i = 0; i * step <= to * (1 + 1e-9); i++) {
                labels.add(i * step);
            }
        }
        return labels;
    }

    /** Formats a label with the necessary decimals. */
    String text(double label) {
        double smallest = logarithmic ? label : step(to);
        return Spread.number(label, Math.max(0, (int) -Math.floor(Math.log10(smallest) + 1e-9)));
    }

    private static double step(double largest) {
        double rough = largest > 0 ? largest / LABELS : 1;
        double below = roundBelow(rough);
        return below >= rough ? below : roundAbove(below);
    }

    private static double roundBelow(double number) {
        double power = Math.pow(TEN, Math.floor(Math.log10(number) + 1e-9));
        double round = power;
        for (double mantissa : ROUND) {
            if (mantissa * power <= number * (1 + 1e-9)) {
                round = mantissa * power;
            }
        }
        return round;
    }

    private static double roundAbove(double round) {
        double power = Math.pow(TEN, Math.floor(Math.log10(round) + 1e-9));
        return switch (mantissa(round)) {
            case 1 -> 2 * power;
            case 2 -> 5 * power;
            default -> TEN * power;
        };
    }

    private static int mantissa(double round) {
        return (int) Math.round(round / Math.pow(TEN, Math.floor(Math.log10(round) + 1e-9)));
    }
}
