/** What HTTP alone costs in a native executable of the same build, for the benchmark to compare with. No part of the product. */
package dev.podidentity.bare;
