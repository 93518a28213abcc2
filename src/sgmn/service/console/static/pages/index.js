// The pages: a path with :parameters (`?` for those that may be missing), the entry of the menu
// that is current on it, and the module. The module's default export is
// `async (context) => Node`; see `app.js` for the context.

export const pages = [
  { path: "/console/live", menu: "live", load: () => import("./live.js") },
  { path: "/console/live/:session", menu: "live", load: () => import("./live-session.js") },
  { path: "/console/review", menu: "review", load: () => import("./review.js") },
  { path: "/console/sessions", menu: "sessions", load: () => import("./sessions.js") },
  { path: "/console/sessions/:session", menu: "sessions", load: () => import("./timeline.js") },
  { path: "/console/sessions/:session/why/:time", menu: "sessions", load: () => import("./why.js") },
  { path: "/console/catalogues", menu: "catalogues", load: () => import("./catalogues.js") },
  { path: "/console/catalogues/:catalogue", menu: "catalogues", load: () => import("./catalogue.js") },
  { path: "/console/catalogues/:catalogue/products/:product", menu: "catalogues", load: () => import("./product.js") },
  { path: "/console/improve/:catalogue?", menu: "improve", load: () => import("./improve.js") },
  { path: "/console/settings/:tab?", menu: "settings", load: () => import("./settings.js") },
];

/** The entries of the menu, in order; those without a page yet are left out. */
export const menu = ["live", "review", "sessions", "catalogues", "improve", "settings"];
