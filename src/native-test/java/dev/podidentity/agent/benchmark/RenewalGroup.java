package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** Cache hits while the credentials of all identities are renewed. */
final class RenewalGroup implements Group {

    private static final int IDENTITIES = 2_000;
    private static final int CONNECTIONS = 64;
    /** Long enough to fill the cache first; the load lasts until all renewals are due. */
    private static final String RETENTION = "10s";
    private static final int SECONDS = 13;

    @Override
    public String name() {
        return "renewals";
    }

    @Override
    public String title() {
        return "2,000 renewals while serving";
    }

    @Override
    public List<Measure> measures() {
        return List.of(Measure.REQUESTS, Measure.P50, Measure.P99, Measure.ERRORS, Measure.CALLS);
    }

    @Override
    public void measure(Contender contender, Bench bench, Recorder recorder) throws IOException, InterruptedException {
        try (RunningAgent agent = bench.starter(contender)
                .flags("--max-credential-retention-before-renewal", RETENTION, "--max-service-qps", "500")
                .serving(bench.tokens().first(1).get(0))) {
            bench.fill(agent, IDENTITIES);
            bench.eksAuth().resetCalls();
            WrkResult found = bench.wrk().run(agent.port(), Load.of(CONNECTIONS), SECONDS, bench.tokens().file(IDENTITIES));
            Map<Measure, Double> values = new EnumMap<>(Bench.of(found));
            values.put(Measure.CALLS, (double) bench.eksAuth().calls());
            recorder.add("renewed at an age of 10 s, 64 connections for 13 s", values);
        }
    }
}
