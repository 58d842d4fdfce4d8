// A file of its own: the help needs the text, and nothing else of the command.
/** What insisting on a cluster's deletion means, for the help. */
export const forceMeans =
  "for a cluster whose deletion does not end: what is in the way is not waited for. Its VMs are removed straight in vCenter, by the " +
  "list of what was made for it, control planes first; its objects are forgotten; volumes and load balancers that its " +
  "workloads made are not cleaned up. Where vCenter stays silent as well, it ends with a list of the VMs that nobody could " +
  "ask about, and their addresses stay leased. There is no way back";
