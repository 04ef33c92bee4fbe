package dev.podidentity.agent.realcluster;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.util.Optional;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Skips a test class, with the reason, if no real API server is available. */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith({NeedsRealCluster.Condition.class, SharedCluster.class})
@Timeout(300)
@interface NeedsRealCluster {

    /** Checks whether the API server has been or can be built. */
    final class Condition implements ExecutionCondition {

        @Override
        public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
            Optional<String> missing = GoProgram.API_SERVER.missing();
            return missing.isPresent()
                    ? ConditionEvaluationResult.disabled(missing.get())
                    : ConditionEvaluationResult.enabled("A kube-apiserver is available");
        }
    }
}
