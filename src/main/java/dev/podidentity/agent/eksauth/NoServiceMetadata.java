package dev.podidentity.agent.eksauth;

import com.oracle.svm.core.annotate.Substitute;
import com.oracle.svm.core.annotate.TargetClass;
import software.amazon.awssdk.regions.ServiceMetadata;

/**
 * Keeps the endpoints of the 300 other AWS services out of the native executable. The SDK stores them in tables of several
 * MB, for clients that have no endpoint rules; the client of EKS Auth has them. Without a table, the SDK derives an endpoint
 * from the partition, as it does for services newer than the SDK.
 */
@TargetClass(className = "software.amazon.awssdk.regions.GeneratedServiceMetadataProvider")
final class NoServiceMetadata {

    private NoServiceMetadata() {}

    @Substitute
    public ServiceMetadata serviceMetadata(String service) {
        return null;
    }
}
