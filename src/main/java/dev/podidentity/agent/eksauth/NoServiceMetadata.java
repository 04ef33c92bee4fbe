package dev.podidentity.agent.eksauth;

import com.oracle.svm.core.annotate.Substitute;
import com.oracle.svm.core.annotate.TargetClass;
import software.amazon.awssdk.regions.ServiceMetadata;

/**
 * Keeps the endpoints of the 300 other AWS services out of the native executable. The SDK has them in tables of some
 * MB, for clients without rules for their endpoints; that of EKS Auth has such rules. Without a table, the SDK derives an
 * endpoint from the partition, as it does for a service that is newer than it.
 */
@TargetClass(className = "software.amazon.awssdk.regions.GeneratedServiceMetadataProvider")
final class NoServiceMetadata {

    private NoServiceMetadata() {}

    @Substitute
    public ServiceMetadata serviceMetadata(String service) {
        return null;
    }
}
