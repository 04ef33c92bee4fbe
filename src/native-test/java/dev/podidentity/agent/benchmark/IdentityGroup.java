package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.util.List;

/** The cost of a cache hit with few and with many identities in the cache. */
final class IdentityGroup implements Group {

    static final List<Integer> IDENTITIES = List.of(1, 2_000, 20_000);

    private static final int LARGEST = 20_000;
    /** The heap that the agent's startup warning recommends for a cache of that size. */
    private static final int HEAP_MEBIBYTES = 313;
    private static final int CONNECTIONS = 64;

    static String variant(int identities) {
        return HitGroup.variant(CONNECTIONS, identities);
    }

    @Override
    public String name() {
        return "identities";
    }

    @Override
    public String title() {
        return "Cost of a hit by identities in the cache";
    }

    @Override
    public List<Measure> measures() {
        return List.of(Measure.REQUESTS, Measure.P50, Measure.P99, Measure.CPU, Measure.RESIDENT, Measure.ANONYMOUS, Measure.ERRORS);
    }

    @Override
    public List<Plot> plots(Results results) {
        return List.of(Plot.of(
                "identities-cpu", "CPU time per 100,000 cache hits, 64 connections", "identities in the cache", "CPU, s",
                Plot.Form.LINES, name(), results, IDENTITIES.stream()
                        .map(identities -> new Plot.Case(Plot.Place.of(identities), variant(identities), Measure.CPU))
                        .toList()));
    }

    @Override
    public void measure(Contender contender, Bench bench, Recorder recorder) throws IOException, InterruptedException {
        try (RunningAgent agent = bench.starter(contender)
                .flags("--max-cache-size", String.valueOf(LARGEST))
                .heap(HEAP_MEBIBYTES)
                .serving(bench.tokens().first(1).get(0))) {
            for (int identities : IDENTITIES) {
                bench.fill(agent, identities);
                recorder.add(variant(identities), bench.load(agent, Load.of(CONNECTIONS), identities));
            }
        }
    }
}
