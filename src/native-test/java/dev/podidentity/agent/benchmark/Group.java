package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.util.List;
import java.util.Map;

/** Cases that are measured with one process of an agent. */
interface Group {

    /** As in {@code -Dbenchmark.cases}. */
    String name();

    String title();

    /** The columns of its table. */
    List<Measure> measures();

    /** What of the results is drawn. */
    default List<Plot> plots(Results results) {
        return List.of();
    }

    /** How often it runs with each agent. */
    default int rounds(Settings settings) {
        return settings.runs();
    }

    default boolean includes(Contender contender) {
        return contender.kind() != Contender.Kind.BARE;
    }

    /**
     * Runs once with an agent that it starts and ends.
     *
     * @throws RunningAgent.DoesNotStart if this agent cannot do it
     * @throws CannotBeMeasured if this machine cannot
     */
    void measure(Contender contender, Bench bench, Recorder recorder) throws IOException, InterruptedException;

    /** Takes in what one run has found. */
    interface Recorder {
        void add(String variant, Map<Measure, Double> values);
    }

    /** A machine lacks what the cases need; the message says what. */
    final class CannotBeMeasured extends IOException {

        private static final long serialVersionUID = 1;

        CannotBeMeasured(String message, Throwable cause) {
            super(message, cause);
        }
    }
}
