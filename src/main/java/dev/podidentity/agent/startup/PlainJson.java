package dev.podidentity.agent.startup;

import com.oracle.svm.core.annotate.Substitute;
import com.oracle.svm.core.annotate.TargetClass;
import io.vertx.core.json.jackson.JacksonCodec;
import io.vertx.core.spi.json.JsonCodec;

/**
 * Lets Vert.x read and write JSON with jackson-core alone, though the Kubernetes client has brought jackson-databind with it.
 * The agent has no objects to map, and Quarkus would make a mapper at the first JSON.
 */
@TargetClass(className = "io.quarkus.vertx.runtime.jackson.QuarkusJacksonFactory")
final class PlainJson {

    private PlainJson() {}

    @Substitute
    public JsonCodec codec() {
        return new JacksonCodec();
    }
}
