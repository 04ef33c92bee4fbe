package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.util.List;
import java.util.Map;

/** Cases that are measured with one process of an agent. */
interface Group {

    /** Returns the name, as in {@code -Dbenchmark.cases}. */
    String name();

    String title();

    /** Returns the columns of its table. */
    List<Measure> measures();

    /** Returns the plots of the results. */
    default List<Plot> plots(Results results) {
        return List.of();
    }

    /** Returns how often it runs with each agent. */
    default int rounds(Settings settings) {
        return settings.runs();
    }

    default boolean includes(Contender contender) {
        return contender.kind() != Contender.Kind.BARE;
    }

    /**
     * Runs once with an agent that it starts and stops.
     *
     * @throws RunningAgent.DoesNotStart if this agent does not support it
     * @throws CannotBeMeasured if this machine does not support it
     */
    void measure(Contender contender, Bench bench, Recorder recorder) throws IOException, InterruptedException;

    /** Receives the results of a run. */
    interface Recorder {
        void add(String variant, Map<Measure, Double> values);
    }

    /** Thrown if the machine lacks what the cases need; the message says what. */
    final class CannotBeMeasured extends IOException {

        private static final long serialVersionUID = 1;

        CannotBeMeasured(String message, Throwable cause) {
            super(message, cause);
        }
    }
}
