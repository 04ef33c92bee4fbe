package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * What all cases share.
 *
 * @param directory the directory for the files of the runs
 */
record Bench(Settings settings, Wrk wrk, EksAuthProcess eksAuth, Tokens tokens, Path directory) {

    private static final int FILLING = 64;
    private static final double PER_100_000 = 1e5;
    private static final int WARM_UP_SECONDS = 1;
    /** Few, because a thousand connections would not all be closed before the next thousand, and the agent limits them. */
    private static final int WARM_UP_CONNECTIONS = 64;

    RunningAgent.Starter starter(Contender contender) {
        return new RunningAgent.Starter(contender, eksAuth, directory.resolve("agent.log"));
    }

    /** Makes an agent get credentials for the first tokens, each once, as fast as possible. */
    void fill(RunningAgent agent, int identities) throws IOException {
        List<String> tokens = tokens().first(identities);
        try (Clients clients = new Clients(FILLING)) {
            List<Clients.Served> all = clients.ask(agent.port(), tokens);
            long failed = all.stream().filter(served -> !served.served()).count();
            if (failed > 0) {
                throw new IllegalStateException("The cache was not filled: " + failed + " of " + identities + " got no"
                        + " credentials");
            }
        }
    }

    /** Loads an agent with cache hits after a second of warm-up, and returns what wrk and Linux measured. */
    Map<Measure, Double> load(RunningAgent agent, Load load, int identities) throws IOException, InterruptedException {
        Path file = tokens.file(identities);
        wrk.run(agent.port(), load.ofAtMost(WARM_UP_CONNECTIONS), WARM_UP_SECONDS, file);
        double before = agent.figures().cpuSeconds();
        WrkResult found = wrk.run(agent.port(), load, settings.seconds(), file);
        double after = agent.figures().cpuSeconds();
        Map<Measure, Double> values = new EnumMap<>(of(found));
        values.put(Measure.CPU, per100000(after - before, found.requests()));
        return withMemory(agent, values);
    }

    Map<Measure, Double> withMemory(RunningAgent agent, Map<Measure, Double> values) throws IOException {
        Map<Measure, Double> all = new EnumMap<>(values);
        all.put(Measure.RESIDENT, agent.figures().residentMegabytes());
        all.put(Measure.ANONYMOUS, agent.figures().anonymousMegabytes());
        return all;
    }

    /**
     * Summarizes the harness's own clients and the calls since the last reset. The times are those of the clients served.
     */
    Map<Measure, Double> summary(List<Clients.Served> all) throws IOException {
        Map<Measure, Double> values = new EnumMap<>(Measure.class);
        List<Double> millis = all.stream().filter(Clients.Served::served).map(Clients.Served::millis).toList();
        if (!millis.isEmpty()) {
            values.put(Measure.P50, Spread.percentile(millis, 50));
            values.put(Measure.P99, Spread.percentile(millis, 99));
            values.put(Measure.LAST, Spread.percentile(millis, 100));
        }
        values.put(Measure.RETRIES, (double) all.stream().mapToInt(Clients.Served::retries).sum());
        values.put(Measure.FAILED, (double) all.size() - millis.size());
        values.put(Measure.CALLS, (double) eksAuth.calls());
        return values;
    }

    static double per100000(double seconds, long requests) {
        return seconds / requests * PER_100_000;
    }

    static Map<Measure, Double> of(WrkResult found) {
        return Map.of(
                Measure.REQUESTS, found.requestsPerSecond(),
                Measure.P50, found.p50Millis(),
                Measure.P99, found.p99Millis(),
                Measure.ERRORS, (double) found.errors() + found.refused());
    }
}
