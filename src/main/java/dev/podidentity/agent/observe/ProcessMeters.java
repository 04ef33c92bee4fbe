package dev.podidentity.agent.observe;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmThreadMetrics;
import io.micrometer.core.instrument.binder.system.FileDescriptorMetrics;
import io.micrometer.core.instrument.binder.system.ProcessorMetrics;
import io.micrometer.core.instrument.binder.system.UptimeMetrics;
import java.util.List;

/** The meters of the process itself, from Micrometer's binders. */
public final class ProcessMeters {

    private ProcessMeters() {}

    /** Registers the meters. Takes some milliseconds, which would delay requests; not for the event loop. */
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
