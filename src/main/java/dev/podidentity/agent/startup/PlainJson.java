package dev.podidentity.agent.startup;

import com.oracle.svm.core.annotate.Substitute;
import com.oracle.svm.core.annotate.TargetClass;
import io.vertx.core.json.jackson.JacksonCodec;
import io.vertx.core.spi.json.JsonCodec;

/**
 * Makes Vert.x read and write JSON with jackson-core only, although the Kubernetes client brings jackson-databind. The agent
 * maps no objects, and Quarkus would create a mapper for the first JSON.
 */
@TargetClass(className = "io.quarkus.vertx.runtime.jackson.QuarkusJacksonFactory")
final class PlainJson {

    private PlainJson() {}

    @Substitute
    public JsonCodec codec() {
        return new JacksonCodec();
    }
}
