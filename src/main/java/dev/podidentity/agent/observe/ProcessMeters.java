package dev.podidentity.agent.observe;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmThreadMetrics;
import io.micrometer.core.instrument.binder.system.FileDescriptorMetrics;
import io.micrometer.core.instrument.binder.system.ProcessorMetrics;
import io.micrometer.core.instrument.binder.system.UptimeMetrics;
import java.util.List;

/** The meters of the process itself, by Micrometer's binders. */
public final class ProcessMeters {

    private ProcessMeters() {}

    /** Adds them. Takes some milliseconds, which no request should have to wait for; not for the event loop. */
    public static void addTo(MeterRegistry registry) {
        List.of(
                        new JvmMemoryMetrics(),
                        new JvmThreadMetrics(),
                        new UptimeMetrics(),
                        new ProcessorMetrics(),
                        new FileDescriptorMetrics())
                .forEach(meters -> meters.bindTo(registry));
    }
}
